package controllers_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/kubetest"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

const domainID, botID = 40029600, 2000001

// company runs a simulated NAVER WORKS and returns the bot and its Secret.
func company(t *testing.T, namespace, tenant string, users ...works.User) (*sim.Server, *v1alpha1.NaverWorksBot, *corev1.Secret) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	s, err := sim.New(sim.Config{
		Apps:  []sim.App{{ClientID: "acme", ClientSecret: "s3cret", ServiceAccount: "pbx.serviceaccount@acme.example", PublicKey: text, DomainID: domainID}},
		Bots:  []sim.Bot{{BotID: botID, Name: "전화", Secret: "bot-s3cret", DomainID: domainID}},
		Users: users, RatePerMinute: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	bot := &v1alpha1.NaverWorksBot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "bot"},
		Spec: v1alpha1.NaverWorksBotSpec{
			TenantRef: v1alpha1.LocalRef{Name: tenant}, BotID: botID, DomainID: domainID, CredentialsRef: v1alpha1.LocalRef{Name: "works"},
			Endpoints: v1alpha1.BotEndpoints{API: s.APIURL(), Auth: s.AuthURL()},
		},
	}
	return s, bot, kubetest.Secret(namespace, "works", map[string]string{
		"client-id": "acme", "client-secret": "s3cret", "service-account": "pbx.serviceaccount@acme.example", "private-key": text, "bot-secret": "bot-s3cret",
	})
}

func member(name, telephone string) works.User {
	return works.User{UserID: "id-" + name, Email: name + "@acme.example", Name: works.PersonName{First: name}, DomainID: domainID, Telephone: telephone}
}

// From the manifests to the bot on NAVER WORKS and the people's extensions, and
// back when they go.
func TestBotAndDirectory(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	works, bot, secret := company(t, at.namespace, "acme", member("kim", "02-555-0101 (내선 101)"), member("lee", "102"))
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(conf.HeaderTenant, conf.Tenant{Namespace: at.namespace, Name: "acme"}.Mark())
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(front.Close)
	tenant := kubetest.Tenant(at.namespace, "acme", at.class)
	tenant.Spec.Web.ExternalURL = front.URL
	plan := kubetest.Plan(at.namespace, "seoul", "acme")
	plan.Spec.Directory = &v1alpha1.Directory{}
	cluster.Create(t, secret, bot, plan)
	ready(t, tenant)
	cluster.Condition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if s, _ := works.BotSettings(botID); s.CallbackURL != front.URL+"/works/callback" {
		t.Errorf("callback %q", s.CallbackURL)
	}
	cluster.Condition(t, plan, v1alpha1.ConditionDirectorySynced, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	cluster.Condition(t, plan, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	config := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: "acme-config"}}
	numbers := func() string {
		var d conf.Document
		if err := json.Unmarshal(config.Data[v1alpha1.KeyDocument], &d); err != nil {
			return ""
		}
		var out []string
		for _, e := range d.Extensions {
			out = append(out, e.Number+"="+e.WorksUser)
		}
		return strings.Join(out, " ")
	}
	cluster.Wait(t, config, "the extensions of the directory", func(bool) bool { return numbers() == "101=id-kim 102=id-lee" })
	password := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: "acme-ext-102"}}
	cluster.Exists(t, password)

	// Somebody leaves: the number goes, and its password with it.
	works.RemoveUser("id-lee")
	all := int32(100)
	kubetest.Update(t, cluster, plan, func(p *v1alpha1.ExtensionPlan) { p.Spec.Directory.MaxRemoval = &all })
	cluster.Wait(t, config, "the extensions that are left", func(bool) bool { return numbers() == "101=id-kim" })
	cluster.Gone(t, password)

	// The Secret rotates: the bot follows without a restart.
	kubetest.Update(t, cluster, secret, func(s *corev1.Secret) { s.Data["client-secret"] = []byte("wrong") })
	cluster.Condition(t, bot, v1alpha1.ConditionCredentialsValid, metav1.ConditionFalse, v1alpha1.ReasonUnauthorized)
	kubetest.Update(t, cluster, secret, func(s *corev1.Secret) { s.Data["client-secret"] = []byte("s3cret") })
	cluster.Condition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	// The tenant goes: nothing is left on NAVER WORKS.
	if err := cluster.Client.Delete(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	cluster.Gone(t, tenant)
	if s, _ := works.BotSettings(botID); s.CallbackURL != "" || works.Menu(botID) != nil {
		t.Errorf("callback %q, menu %s", s.CallbackURL, works.Menu(botID))
	}
	cluster.Wait(t, bot, "no finalizer", func(bool) bool { return len(bot.Finalizers) == 0 })
}
