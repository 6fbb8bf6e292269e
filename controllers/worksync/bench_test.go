package worksync_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/kubetest"
	"github.com/dipcast/dipcast/controllers/worksync"
	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/web"
	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

// cluster is a real API server, shared by all tests; each has a namespace.
var cluster *kubetest.Cluster

func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	if cluster, err = kubetest.Start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	stop()
	os.Exit(code)
}

// privateKey is made once: it is slow to make.
var privateKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
})

const (
	domainID = 40029600
	botID    = 2000001
	otherBot = 2000002
)

// bench is one tenant with its bot on a real API server, a simulated NAVER
// WORKS, and reconcilers that the test calls by hand, with a clock of its own.
type bench struct {
	t         *testing.T
	namespace string
	works     *sim.Server
	line      *worksync.Line
	tenant    *v1alpha1.PBXTenant
	bot       *v1alpha1.NaverWorksBot
	secret    *corev1.Secret
	pbx       atomic.Pointer[http.Handler] // behind the callback URL

	clock    atomic.Int64 // how far it is ahead
	accepted metav1.Condition
	events   []string
	woken    []types.NamespacedName
}

func newBench(t *testing.T, users ...works.User) *bench {
	t.Helper()
	b := &bench{
		t: t, namespace: cluster.Namespace(t),
		accepted: metav1.Condition{Type: "Accepted", Status: "True", Reason: "Accepted", Message: "everything in it is in force"},
	}
	var err error
	b.works, err = sim.New(sim.Config{
		Apps: []sim.App{{
			ClientID: "acme", ClientSecret: "the-client-secret", ServiceAccount: "pbx.serviceaccount@acme.example", PublicKey: privateKey(), DomainID: domainID,
		}},
		Bots: []sim.Bot{
			{BotID: botID, Name: "전화", Secret: "the-bot-secret", DomainID: domainID},
			{BotID: otherBot, Name: "다른 전화", Secret: "the-other-secret", DomainID: domainID},
		},
		Users: users, RatePerMinute: -1, Now: b.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.works.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.works.Close(); err != nil {
			t.Error(err)
		}
	})
	b.serve(b.webOf(conf.Tenant{Namespace: b.namespace, Name: "acme"}))
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*b.pbx.Load()).ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	b.apply(front.URL)
	b.restart()
	return b
}

// apply writes the tenant's manifests.
func (b *bench) apply(base string) {
	b.t.Helper()
	b.tenant = kubetest.Tenant(b.namespace, "acme", "none")
	b.tenant.Spec.Web.ExternalURL = base
	b.secret = kubetest.Secret(b.namespace, "acme-works", map[string]string{
		"client-id": "acme", "client-secret": "the-client-secret", "service-account": "pbx.serviceaccount@acme.example",
		"private-key": privateKey(), "bot-secret": "the-bot-secret",
	})
	b.bot = &v1alpha1.NaverWorksBot{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "acme-bot"},
		Spec: v1alpha1.NaverWorksBotSpec{
			TenantRef: v1alpha1.LocalRef{Name: "acme"}, BotID: botID, DomainID: domainID, CredentialsRef: v1alpha1.LocalRef{Name: "acme-works"},
			Endpoints: v1alpha1.BotEndpoints{API: b.works.APIURL(), Auth: b.works.AuthURL()},
		},
	}
	cluster.Create(b.t, b.tenant, b.secret, b.bot)
	b.tenantRuns(metav1.ConditionTrue)
}

func (b *bench) tenantRuns(status metav1.ConditionStatus) {
	b.t.Helper()
	meta.SetStatusCondition(&b.tenant.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionPodRunning, Status: status, Reason: "Running", Message: "-"})
	if err := cluster.Client.Status().Update(b.t.Context(), b.tenant); err != nil {
		b.t.Fatal(err)
	}
}

// webOf is the real web of a tenant's PBX, with a bot.
func (b *bench) webOf(tenant conf.Tenant) http.Handler {
	b.t.Helper()
	w, err := web.New(web.Options{CDRs: struct{ pbx.CDRStore }{}, Control: struct{ pbx.Controller }{}, Config: web.Config{
		Tenant: tenant.Namespace + "/" + tenant.Name, BaseURL: "https://acme.pbx.example.com", SessionKey: make([]byte, 32),
		Callback: web.Callback{BotID: fmt.Sprint(botID), Verify: func([]byte, string) bool { return false }, Mark: tenant.Mark()},
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	return w.Handler()
}

// serve puts something behind the callback URL.
func (b *bench) serve(h http.Handler) { b.pbx.Store(&h) }

func (b *bench) now() time.Time { return time.Now().Add(time.Duration(b.clock.Load())) }

// later lets time pass.
func (b *bench) later(d time.Duration) { b.clock.Add(int64(d)) }

// restart forgets everything that is in memory, as a new operator does.
func (b *bench) restart() {
	b.line = worksync.New(worksync.Options{
		Client: client.WithFieldOwner(cluster.Client, v1alpha1.FieldOwner), Live: cluster.Client,
		Secret: func(ctx context.Context, name types.NamespacedName) (map[string][]byte, bool, error) {
			var s corev1.Secret
			err := cluster.Client.Get(ctx, name, &s)
			return s.Data, err == nil, client.IgnoreNotFound(err)
		},
		Accepted: func(context.Context, *v1alpha1.NaverWorksBot) (metav1.Condition, bool, error) {
			return b.accepted, b.accepted.Type != "", nil
		},
		Set: func(list *[]metav1.Condition, generation int64, c metav1.Condition) {
			c.ObservedGeneration, c.LastTransitionTime = generation, metav1.NewTime(b.now().Truncate(time.Second))
			meta.SetStatusCondition(list, c)
		},
		Report: func(ctx context.Context, before, after client.Object) error {
			if equality.Semantic.DeepEqual(before, after) {
				return nil
			}
			return cluster.Client.Status().Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		},
		Tell: func(_ client.Object, e worksync.Event) {
			b.events = append(b.events, e.Reason)
			if strings.Contains(e.Note, "the-client-secret") || strings.Contains(e.Note, "the-bot-secret") {
				b.t.Errorf("an event holds a secret: %s", e.Note)
			}
		},
		WakeDirectory: func(name types.NamespacedName) { b.woken = append(b.woken, name) },
		TrustedCAs:    func() string { return "" },
		Now:           b.now, Log: slog.New(slog.DiscardHandler),
		Jitter: func() float64 { return 0.5 },
	})
}

// reconcileBot has the bot looked at once and reads it.
func (b *bench) reconcileBot() reconcile.Result {
	b.t.Helper()
	result, err := b.line.ReconcileBot(b.t.Context(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(b.bot)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.read(b.bot)
	return result
}

// reconcileDirectory has the plans looked at once and reads them.
func (b *bench) reconcileDirectory(plans ...*v1alpha1.ExtensionPlan) reconcile.Result {
	b.t.Helper()
	result, err := b.line.ReconcileDirectory(b.t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: b.namespace, Name: "acme"}})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, p := range plans {
		b.read(p)
	}
	return result
}

// read reads an object; one that is gone becomes empty but for its name.
func (b *bench) read(o client.Object) {
	b.t.Helper()
	if err := cluster.Client.Get(b.t.Context(), client.ObjectKeyFromObject(o), o); client.IgnoreNotFound(err) != nil {
		b.t.Fatal(err)
	} else if err != nil {
		o.SetResourceVersion("")
	}
}

func (b *bench) gone(o client.Object) bool {
	b.t.Helper()
	b.read(o)
	return o.GetResourceVersion() == ""
}

func (b *bench) delete(o client.Object) {
	b.t.Helper()
	if err := cluster.Client.Delete(b.t.Context(), o); err != nil {
		b.t.Fatal(err)
	}
}

// want compares a condition; the message has to hold the words.
func (b *bench) want(conditions []metav1.Condition, kind string, status metav1.ConditionStatus, reason, words string) {
	b.t.Helper()
	c := meta.FindStatusCondition(conditions, kind)
	if c == nil || c.Status != status || (reason != "" && c.Reason != reason) || !strings.Contains(c.Message, words) {
		b.t.Errorf("%s is %+v, want %s %s %q", kind, c, status, reason, words)
	}
	if c != nil && (strings.Contains(c.Message, "the-client-secret") || strings.Contains(c.Message, "PRIVATE") || len(c.Message) > 600) {
		b.t.Errorf("%s: %s", kind, c.Message)
	}
}

func (b *bench) wantBot(kind string, status metav1.ConditionStatus, reason, words string) {
	b.t.Helper()
	b.want(b.bot.Status.Conditions, kind, status, reason, words)
}

// told returns the events since it was asked last.
func (b *bench) told() string {
	out := slices.Clone(b.events)
	b.events = nil
	return strings.Join(out, " ")
}

func (b *bench) wantTold(want string) {
	b.t.Helper()
	if got := b.told(); got != want {
		b.t.Errorf("told %q, want %q", got, want)
	}
}

// callback is what NAVER WORKS would call for the bot.
func (b *bench) callback(id int64) string {
	b.t.Helper()
	s, ok := b.works.BotSettings(id)
	if !ok {
		b.t.Fatalf("there is no bot %d", id)
	}
	return s.CallbackURL
}

// faultNotFound is what NAVER WORKS answers about a bot that it deleted.
func faultNotFound() sim.Fault { return sim.Fault{Operation: "bot.get", Status: http.StatusNotFound} }
