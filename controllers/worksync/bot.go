package worksync

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/naverworks"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/works"
)

// botState is what is remembered of one bot.
type botState struct {
	proof, setup, callback, end naverworks.Check
}

// botScene is one reconcile of one bot.
type botScene struct {
	bot, stored *v1alpha1.NaverWorksBot // stored: as the API server has it
	before      []metav1.Condition      // of before this reconcile
	tenant      *v1alpha1.PBXTenant     // nil: there is none
	secret      map[string][]byte
	found       bool // the Secret
	state       *botState
	now         time.Time

	client *works.Client // nil: the credentials give none
	again  time.Duration
}

// after asks for another reconcile in at most d.
func (s *botScene) after(d time.Duration) {
	if d > 0 && (s.again == 0 || d < s.again) {
		s.again = d
	}
}

func (s *botScene) name() types.NamespacedName { return client.ObjectKeyFromObject(s.bot) }

// had is the status of a condition before this reconcile.
func (s *botScene) had(kind string) metav1.ConditionStatus {
	if c := meta.FindStatusCondition(s.before, kind); c != nil {
		return c.Status
	}
	return ""
}

// ReconcileBot brings one bot to what its manifest says.
func (l *Line) ReconcileBot(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	s, err := l.gatherBot(ctx, req.NamespacedName)
	if s == nil || err != nil {
		return reconcile.Result{}, err
	}
	if s.bot.DeletionTimestamp != nil {
		err = l.endBot(ctx, s)
		return reconcile.Result{RequeueAfter: s.again}, err
	}
	err = l.serveBot(ctx, s)
	if reportErr := l.Report(ctx, s.stored, s.bot); err == nil {
		err = reportErr
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("NaverWorksBot %s: %w", req.NamespacedName, err)
	}
	l.tellBot(s)
	return reconcile.Result{RequeueAfter: s.again}, nil
}

func (l *Line) gatherBot(ctx context.Context, name types.NamespacedName) (*botScene, error) {
	s := &botScene{bot: &v1alpha1.NaverWorksBot{}, now: l.Now()}
	if err := l.Client.Get(ctx, name, s.bot); err != nil {
		if client.IgnoreNotFound(err) == nil {
			forget(l, l.bots, name)
			l.clients.Forget(name)
		}
		return nil, client.IgnoreNotFound(err)
	}
	s.stored, s.state = s.bot.DeepCopy(), state(l, l.bots, name)
	s.before = s.stored.Status.Conditions
	var err error
	if s.tenant, err = l.tenant(ctx, name.Namespace, s.bot.Spec.TenantRef.Name); err != nil {
		return nil, err
	}
	secret := types.NamespacedName{Namespace: name.Namespace, Name: s.bot.Spec.CredentialsRef.Name}
	if s.secret, s.found, err = l.Secret(ctx, secret); err != nil {
		return nil, fmt.Errorf("secret %s: %w", secret, err)
	}
	return s, nil
}

// serveBot looks at everything that is due and sets the conditions.
func (l *Line) serveBot(ctx context.Context, s *botScene) error {
	accepted, err := l.accepted(ctx, s)
	if err != nil {
		return err
	}
	credentials := l.prove(ctx, s)
	configured, err := l.configure(ctx, s, accepted, credentials)
	if err != nil {
		return err
	}
	callback := l.lookAtCallback(ctx, s)
	all := []struct {
		kind    string
		verdict naverworks.Verdict
	}{
		{v1alpha1.ConditionAccepted, accepted},
		{v1alpha1.ConditionCredentialsValid, credentials},
		{v1alpha1.ConditionBotConfigured, configured},
		{v1alpha1.ConditionCallbackReachable, callback},
	}
	ready := naverworks.Yes(v1alpha1.ReasonReady, "cards are sent and presses arrive")
	for i := len(all) - 1; i >= 0; i-- {
		one := all[i]
		l.Set(&s.bot.Status.Conditions, s.bot.Generation, one.verdict.Condition(one.kind))
		if !one.verdict.OK() {
			ready = naverworks.No(one.verdict.Reason, "see "+one.kind+": "+one.verdict.Message)
		}
	}
	l.Set(&s.bot.Status.Conditions, s.bot.Generation, ready.Condition(v1alpha1.ConditionReady))
	return nil
}

// accepted is what the compiler said of the bot.
func (l *Line) accepted(ctx context.Context, s *botScene) (naverworks.Verdict, error) {
	c, known, err := l.Accepted(ctx, s.bot)
	if err != nil {
		return naverworks.Verdict{}, err
	}
	if !known {
		if had := meta.FindStatusCondition(s.before, v1alpha1.ConditionAccepted); had != nil && had.ObservedGeneration == s.bot.Generation {
			c, known = *had, true // as it was before the operator began anew
		}
	}
	if !known {
		return waiting("PBXTenant %s was not compiled yet", s.bot.Spec.TenantRef.Name), nil
	}
	return naverworks.Verdict{Status: c.Status, Reason: c.Reason, Message: c.Message}, nil
}

func waiting(format string, args ...any) naverworks.Verdict {
	return naverworks.Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonWaiting, Message: fmt.Sprintf(format, args...)}
}

// prove gets a token and reads the bot.
func (l *Line) prove(ctx context.Context, s *botScene) naverworks.Verdict {
	c, key, v := l.clients.Open(s.bot, s.secret, s.found)
	if c == nil {
		if !s.found {
			s.after(missingAgain)
		}
		s.state.proof = naverworks.Check{}
		return v
	}
	s.client = c
	check := &s.state.proof
	if !check.Fresh(key, s.now) {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		v = naverworks.Yes(v1alpha1.ReasonValid, "NAVER WORKS takes the credentials")
		if _, err := c.Bot(ctx); err != nil && !onlyUnreadable(s.bot, err) {
			v = naverworks.Explain(s.bot, err)
		}
		if v.OK() {
			l.clients.Proven(s.name())
		}
		check.Done(key, s.now, v, proveEvery, l.Jitter())
	}
	s.after(check.Wait(s.now))
	return check.Shown()
}

// onlyUnreadable reports whether a token was issued and does not reach to read
// the bot's settings, as nobody asked for that scope.
func onlyUnreadable(b *v1alpha1.NaverWorksBot, err error) bool {
	var api *works.APIError
	asked := slices.ContainsFunc(b.Spec.Scopes, func(s string) bool { return s == "bot" || s == "bot.read" })
	return !asked && len(b.Spec.Scopes) > 0 && errors.As(err, &api) &&
		api.Operation == "bot.get" && api.Status == http.StatusForbidden && api.Code == "FORBIDDEN"
}

// lookAtCallback asks the callback URL who answers there.
func (l *Line) lookAtCallback(ctx context.Context, s *botScene) naverworks.Verdict {
	if v, gone := tenantGone(s); gone {
		return v
	}
	s.bot.Status.CallbackURL = naverworks.CallbackURL(naverworks.BaseURL(s.tenant))
	running := meta.FindStatusCondition(s.tenant.Status.Conditions, v1alpha1.ConditionPodRunning)
	if running == nil || running.Status != metav1.ConditionTrue {
		s.state.callback = naverworks.Check{}
		return naverworks.No(v1alpha1.ReasonWaiting, "the tenant's PBX does not run: see PodRunning of PBXTenant "+s.tenant.Name)
	}
	mark := conf.Tenant{Namespace: s.tenant.Namespace, Name: s.tenant.Name}.Mark()
	// What may change the answer is looked at anew at once.
	parts := []string{s.bot.Status.CallbackURL, mark, running.LastTransitionTime.UTC().String()}
	for _, kind := range []string{v1alpha1.ConditionConfigApplied, v1alpha1.ConditionExposed} {
		if c := meta.FindStatusCondition(s.tenant.Status.Conditions, kind); c != nil {
			parts = append(parts, string(c.Status))
		}
	}
	check, key := &s.state.callback, strings.Join(parts, " ")
	if !check.Fresh(key, s.now) {
		check.Done(key, s.now, naverworks.Callback(ctx, l.transport, s.bot.Status.CallbackURL, mark), callbackEvery, l.Jitter())
	}
	s.after(check.Wait(s.now))
	return check.Shown()
}

// tenantGone is the verdict where there is no tenant, or soon none.
func tenantGone(s *botScene) (naverworks.Verdict, bool) {
	switch {
	case s.tenant == nil:
		return naverworks.No(v1alpha1.ReasonNotFound, "there is no PBXTenant "+s.bot.Spec.TenantRef.Name+" in this namespace: create it or name another one in spec.tenantRef"), true
	case s.tenant.DeletionTimestamp != nil:
		return naverworks.No(v1alpha1.ReasonTerminating, "PBXTenant "+s.tenant.Name+" is being deleted"), true
	}
	return naverworks.Verdict{}, false
}

// tellBot tells what has turned for the worse or the better, and wakes the
// directory when the credentials have.
func (l *Line) tellBot(s *botScene) {
	for kind, reasons := range map[string][2]string{
		v1alpha1.ConditionCredentialsValid:  {"CredentialsRefused", "CredentialsTaken"},
		v1alpha1.ConditionCallbackReachable: {"CallbackUnreachable", "CallbackReachable"},
	} {
		c := meta.FindStatusCondition(s.bot.Status.Conditions, kind)
		had := s.had(kind)
		if c == nil || had == c.Status {
			continue
		}
		if kind == v1alpha1.ConditionCredentialsValid {
			l.WakeDirectory(types.NamespacedName{Namespace: s.bot.Namespace, Name: s.bot.Spec.TenantRef.Name})
		}
		switch {
		case had == metav1.ConditionTrue && c.Reason != v1alpha1.ReasonTerminating:
			l.Tell(s.bot, Event{Warning: true, Reason: reasons[0], Action: "Check", Note: c.Message})
		case had != "" && c.Status == metav1.ConditionTrue:
			l.Tell(s.bot, Event{Reason: reasons[1], Action: "Check", Note: c.Message})
		}
	}
}
