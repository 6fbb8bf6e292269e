package worksync_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/kubetest"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/works"
)

func TestBotBecomesReadyAndStaysRight(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.reconcileBot()
	for _, kind := range []string{"Accepted", "CredentialsValid", "BotConfigured", "CallbackReachable", "Ready"} {
		b.wantBot(kind, "True", "", "")
	}
	url := b.tenant.Spec.Web.ExternalURL + "/works/callback"
	s, _ := b.works.BotSettings(botID)
	if s.CallbackURL != url || !s.EnableCallback || b.bot.Status.CallbackURL != url {
		t.Errorf("callback %+v, status %q", s, b.bot.Status.CallbackURL)
	}
	if menu := string(b.works.Menu(botID)); !strings.Contains(menu, b.tenant.Spec.Web.ExternalURL+"/") {
		t.Errorf("menu %s", menu)
	}
	want := v1alpha1.ManagedBot{BotID: botID, BaseURL: b.tenant.Spec.Web.ExternalURL}
	if b.bot.Status.Managed == nil || *b.bot.Status.Managed != want || !controllerutil.ContainsFinalizer(b.bot, v1alpha1.FinalizerBot) {
		t.Errorf("managed %+v, finalizers %v", b.bot.Status.Managed, b.bot.Finalizers)
	}
	b.wantTold("BotConfigured")
	if len(b.woken) != 1 || b.woken[0].Name != "acme" {
		t.Errorf("woken %v", b.woken)
	}

	// Once more: nothing is sent, nothing is written.
	version, calls := b.bot.ResourceVersion, b.calls()
	if got := b.reconcileBot(); got.RequeueAfter <= 0 || got.RequeueAfter > 5*time.Minute || b.bot.ResourceVersion != version || b.calls() != calls {
		t.Errorf("again after %s, version %s to %s, calls %d to %d", got.RequeueAfter, version, b.bot.ResourceVersion, calls, b.calls())
	}

	// Somebody changes it in the Developer Console.
	other := "https://other.example/hook"
	b.works.ChangeBot(botID, works.BotPatch{CallbackURL: &other})
	b.works.ChangeMenu(botID, json.RawMessage(`{"content":{"actions":[{"type":"uri","label":"x","uri":"https://other.example/"}]}}`))
	b.reconcileBot()
	if b.callback(botID) != other {
		t.Error("it is looked at with every reconcile")
	}
	b.later(11 * time.Minute)
	b.reconcileBot()
	if b.callback(botID) != url || !strings.Contains(string(b.works.Menu(botID)), b.tenant.Spec.Web.ExternalURL) {
		t.Errorf("callback %s, menu %s", b.callback(botID), b.works.Menu(botID))
	}
	b.wantTold("BotPutRight")
	if b.bot.ResourceVersion != version {
		t.Error("the status was written although it says nothing new")
	}
	b.later(11 * time.Minute)
	b.reconcileBot()
	b.wantTold("")
}

// calls counts all requests to the service.
func (b *bench) calls() (n int) {
	for _, operation := range []string{"token", "bot.get", "bot.patch", "bot.menu.get", "bot.menu.set", "bot.menu.delete", "user.list"} {
		n += b.works.Calls(operation)
	}
	return n
}

func (b *bench) setSecret(key, value string) {
	b.t.Helper()
	kubetest.Update(b.t, cluster, b.secret, func(*corev1.Secret) { b.secret.Data[key] = []byte(value) })
}

func TestCredentialsFollowTheSecret(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.reconcileBot()
	b.told()
	b.setSecret("client-secret", "wrong")
	b.reconcileBot()
	b.wantBot("CredentialsValid", "False", "Unauthorized", "refuses client-id or client-secret of Secret "+b.namespace+"/acme-works")
	b.wantBot("BotConfigured", "False", "Waiting", "see CredentialsValid")
	b.wantBot("Ready", "False", "Unauthorized", "see CredentialsValid: ")
	b.wantTold("CredentialsRefused")
	b.setSecret("client-secret", "the-client-secret")
	b.reconcileBot()
	b.wantBot("Ready", "True", "Ready", "")
	b.wantTold("CredentialsTaken")

	// Withdrawn on the other side: found when they are proven again.
	b.works.Bar("acme", true)
	b.works.RevokeTokens()
	b.reconcileBot()
	b.wantBot("CredentialsValid", "True", "Valid", "")
	b.later(31 * time.Minute)
	b.reconcileBot()
	b.wantBot("CredentialsValid", "False", "Unauthorized", "")
	b.works.Bar("acme", false)
	b.later(10 * time.Second)
	b.reconcileBot()
	b.wantBot("CredentialsValid", "True", "Valid", "")
	b.wantBot("Ready", "True", "Ready", "")

	b.delete(b.secret)
	if got := b.reconcileBot(); got.RequeueAfter <= 0 || got.RequeueAfter > 15*time.Second {
		t.Errorf("a missing Secret is looked for after %s", got.RequeueAfter)
	}
	b.wantBot("CredentialsValid", "False", "SecretMissing", "create it with the keys")
}

func TestCallbackReachable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	right := *b.pbx.Load()
	b.serve(b.webOf(conf.Tenant{Namespace: b.namespace, Name: "other"}))
	b.reconcileBot()
	b.wantBot("CallbackReachable", "False", "Conflict", "another tenant's PBX answers")
	b.wantBot("Ready", "False", "Conflict", "see CallbackReachable: ")
	b.serve(right)
	b.later(6 * time.Second) // sooner than every five minutes while it fails
	b.reconcileBot()
	b.wantBot("CallbackReachable", "True", "Reachable", "")
	b.told()

	// One failure that may pass is not told, several are.
	b.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	b.later(6 * time.Minute)
	for range 2 {
		b.reconcileBot()
		b.wantBot("CallbackReachable", "True", "Reachable", "")
		b.later(15 * time.Second)
	}
	b.reconcileBot()
	b.wantBot("CallbackReachable", "False", "Unreachable", "HTTP 502: the Ingress or route of 127.0.0.1 is there and does not reach the PBX")
	b.wantTold("CallbackUnreachable")

	// What the tenant's status says is looked at at once.
	b.serve(right)
	b.tenantRuns(metav1.ConditionFalse)
	b.reconcileBot()
	b.wantBot("CallbackReachable", "False", "Waiting", "see PodRunning of PBXTenant acme")
	b.tenantRuns(metav1.ConditionTrue)
	b.reconcileBot()
	b.wantBot("CallbackReachable", "True", "Reachable", "")
	b.wantTold("CallbackReachable")
}

func TestBotIsTakenBack(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		before func(*bench)
		after  time.Duration // of reconciling it in vain
		told   string
		stays  bool // on NAVER WORKS
	}{
		{name: "as it is", told: "BotCleared"},
		{name: "the Secret went first", before: func(b *bench) { b.delete(b.secret) }, told: "BotCleared"},
		{name: "the Secret was spoiled", before: func(b *bench) { b.setSecret("client-secret", "spoiled") }, told: "BotCleared"},
		{name: "the Secret went first and the operator is new", before: func(b *bench) { b.delete(b.secret); b.restart() }, told: "BotNotCleared", stays: true},
		{name: "the operator is new", before: func(b *bench) { b.restart() }, told: "BotCleared"},
		{name: "the credentials are withdrawn", before: func(b *bench) { b.works.Bar("acme", true); b.works.RevokeTokens() }, after: 10 * time.Minute, told: "BotNotCleared", stays: true},
		{name: "the bot is gone on NAVER WORKS", before: func(b *bench) { b.works.SetFault(faultNotFound()) }, told: "BotCleared", stays: true},
		{name: "somebody else uses the bot now", before: func(b *bench) {
			u := "https://other.example/hook"
			b.works.ChangeBot(botID, works.BotPatch{CallbackURL: &u})
			b.works.ChangeMenu(botID, nil)
		}, told: "BotCleared", stays: true},
		{name: "another object goes on with the bot", before: func(b *bench) {
			next := b.bot.DeepCopy()
			next.ObjectMeta = metav1.ObjectMeta{Namespace: b.namespace, Name: "next"}
			cluster.Create(b.t, next)
		}, told: "", stays: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.reconcileBot()
			b.wantBot("Ready", "True", "Ready", "")
			b.told()
			if tc.before != nil {
				tc.before(b)
			}
			b.delete(b.bot)
			result := b.reconcileBot()
			if tc.after > 0 {
				if b.gone(b.bot) || result.RequeueAfter <= 0 {
					t.Fatal("given up at once")
				}
				b.wantBot("BotConfigured", "False", "Terminating", "is being taken back: NAVER WORKS refuses")
				b.wantTold("")
				b.later(tc.after)
				b.reconcileBot()
			}
			if !b.gone(b.bot) {
				t.Fatalf("it is held by %v", b.bot.Finalizers)
			}
			b.wantTold(tc.told)
			if got := b.callback(botID); (got != "") != tc.stays {
				t.Errorf("callback %q", got)
			}
			b.reconcileBot() // of what is gone: nothing
		})
	}
}

func TestBotWithoutATenant(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.reconcileBot()
	b.told()
	kubetest.Update(t, cluster, b.tenant, func(*v1alpha1.PBXTenant) { controllerutil.AddFinalizer(b.tenant, v1alpha1.FinalizerTenant) })
	b.delete(b.tenant)
	b.reconcileBot()
	b.wantBot("BotConfigured", "False", "Terminating", "PBXTenant acme is being deleted")
	b.wantTold("BotCleared")
	if b.callback(botID) != "" || b.works.Menu(botID) != nil || len(b.bot.Finalizers) > 0 || b.bot.Status.Managed != nil {
		t.Errorf("callback %q, menu %s, finalizers %v, managed %v", b.callback(botID), b.works.Menu(botID), b.bot.Finalizers, b.bot.Status.Managed)
	}
	kubetest.Update(t, cluster, b.tenant, func(*v1alpha1.PBXTenant) { b.tenant.Finalizers = nil })
	b.reconcileBot()
	b.wantBot("CallbackReachable", "False", "NotFound", "there is no PBXTenant acme in this namespace: create it")
	b.wantTold("")
}

func TestBotThatIsNotManaged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	no := false
	b.bot.Spec.ManageBot = &no
	if err := cluster.Client.Update(t.Context(), b.bot); err != nil {
		t.Fatal(err)
	}
	b.reconcileBot()
	b.wantBot("BotConfigured", "True", "Unmanaged", "set the callback URL "+b.tenant.Spec.Web.ExternalURL+"/works/callback")
	b.wantBot("Ready", "True", "Ready", "")
	if b.callback(botID) != "" || b.works.Calls("bot.patch")+b.works.Calls("bot.menu.set") > 0 || len(b.bot.Finalizers) > 0 {
		t.Error("it is managed all the same")
	}

	// Taken in hand, and let go again: what was set stays.
	yes := true
	kubetest.Update(t, cluster, b.bot, func(*v1alpha1.NaverWorksBot) { b.bot.Spec.ManageBot = &yes })
	b.reconcileBot()
	b.wantBot("BotConfigured", "True", "Configured", "")
	kubetest.Update(t, cluster, b.bot, func(*v1alpha1.NaverWorksBot) { b.bot.Spec.ManageBot = &no })
	b.reconcileBot()
	if b.callback(botID) == "" || len(b.bot.Finalizers) > 0 || b.bot.Status.Managed != nil {
		t.Errorf("callback %q, finalizers %v, managed %v", b.callback(botID), b.bot.Finalizers, b.bot.Status.Managed)
	}
}

func TestAnotherBotOrAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.reconcileBot()
	b.told()
	kubetest.Update(t, cluster, b.bot, func(*v1alpha1.NaverWorksBot) { b.bot.Spec.BotID = otherBot })
	b.reconcileBot()
	if b.callback(botID) != "" || b.callback(otherBot) == "" || b.bot.Status.Managed.BotID != otherBot {
		t.Errorf("callbacks %q and %q, managed %+v", b.callback(botID), b.callback(otherBot), b.bot.Status.Managed)
	}
	b.wantTold("BotCleared BotConfigured")
	kubetest.Update(t, cluster, b.tenant, func(*v1alpha1.PBXTenant) { b.tenant.Spec.Web.ExternalURL = "https://127.0.0.1:1" })
	b.reconcileBot()
	if b.callback(otherBot) != "https://127.0.0.1:1/works/callback" || b.bot.Status.Managed.BaseURL != "https://127.0.0.1:1" {
		t.Errorf("callback %q, managed %+v", b.callback(otherBot), b.bot.Status.Managed)
	}
	b.wantTold("BotConfigured CallbackUnreachable")
}

func TestBotThatIsNotAccepted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.accepted = metav1.Condition{}
	b.reconcileBot()
	b.wantBot("Accepted", "Unknown", "Waiting", "PBXTenant acme was not compiled yet")
	b.wantBot("BotConfigured", "Unknown", "Waiting", "see Accepted")
	b.accepted = metav1.Condition{Type: "Accepted", Status: "False", Reason: "Duplicate", Message: "this tenant already has a bot"}
	b.reconcileBot()
	b.wantBot("Accepted", "False", "Duplicate", "")
	b.wantBot("Ready", "False", "Duplicate", "see Accepted: this tenant already has a bot")
	if b.callback(botID) != "" {
		t.Error("a bot that is not accepted was set")
	}
	b.wantTold("")
	// A new operator does not know yet, and leaves it as it was.
	b.accepted = metav1.Condition{}
	b.restart()
	b.reconcileBot()
	b.wantBot("Accepted", "False", "Duplicate", "")
}

func TestABotThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	no := false
	kubetest.Update(t, cluster, b.bot, func(*v1alpha1.NaverWorksBot) { b.bot.Spec.ManageBot, b.bot.Spec.Scopes = &no, []string{"bot.message"} })
	b.reconcileBot()
	b.wantBot("CredentialsValid", "True", "Valid", "")
	b.wantBot("Ready", "True", "Ready", "")
}

func TestReconcilingWhatIsNot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.delete(b.bot)
	if got := b.reconcileBot(); got != (reconcile.Result{}) {
		t.Errorf("%+v", got)
	}
}
