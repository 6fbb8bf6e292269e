package worksync

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/naverworks"
	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/botsetup"
)

// configure sets callback and menu on NAVER WORKS, and puts them right when
// somebody has changed them.
func (l *Line) configure(ctx context.Context, s *botScene, accepted, credentials naverworks.Verdict) (naverworks.Verdict, error) {
	if v, gone := tenantGone(s); gone {
		return l.withdraw(ctx, s, v)
	}
	base := naverworks.BaseURL(s.tenant)
	if s.bot.Spec.ManageBot != nil && !*s.bot.Spec.ManageBot {
		// What was set before stays: the bot works by it.
		return naverworks.Yes(v1alpha1.ReasonUnmanaged, "spec.manageBot is false: set the callback URL "+naverworks.CallbackURL(base)+" and the event text in the Developer Console"), l.release(ctx, s)
	}
	switch {
	case !accepted.OK():
		return naverworks.Verdict{Status: accepted.Status, Reason: v1alpha1.ReasonWaiting, Message: "nothing is set while the bot is not accepted: see Accepted"}, nil
	case !credentials.OK():
		return naverworks.Verdict{Status: credentials.Status, Reason: v1alpha1.ReasonWaiting, Message: "nothing is set without credentials: see CredentialsValid"}, nil
	}
	check, key := &s.state.setup, fmt.Sprintf("%d %s %s", s.bot.Spec.BotID, base, s.bot.Spec.Endpoints.API)
	if !check.Fresh(key, s.now) {
		m := v1alpha1.ManagedBot{BotID: s.bot.Spec.BotID, BaseURL: base}
		again := s.bot.Status.Managed != nil && *s.bot.Status.Managed == m
		if err := l.claim(ctx, s, m); err != nil {
			return naverworks.Verdict{}, err
		}
		v, changed := l.ensure(ctx, s, base)
		if changed && v.OK() {
			l.tellConfigured(s, again && (check.Stood(key) || s.had(v1alpha1.ConditionBotConfigured) == metav1.ConditionTrue))
		}
		check.Done(key, s.now, v, configureEvery, l.Jitter())
	}
	s.after(check.Wait(s.now))
	return check.Shown(), nil
}

func (l *Line) ensure(ctx context.Context, s *botScene, base string) (v naverworks.Verdict, changed bool) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	changed, err := botsetup.Ensure(ctx, s.client, wanted(base))
	if err != nil {
		return naverworks.Explain(s.bot, err), changed
	}
	return naverworks.Yes(v1alpha1.ReasonConfigured, "callback URL, events and menu are set"), changed
}

func wanted(base string) botsetup.Wanted {
	return botsetup.Wanted{CallbackURL: naverworks.CallbackURL(base), ConsoleURL: base + "/"}
}

func (l *Line) tellConfigured(s *botScene, before bool) {
	e := Event{Reason: "BotConfigured", Action: "Configure", Note: "callback URL, events and menu were set on NAVER WORKS"}
	if before {
		e.Reason, e.Note = "BotPutRight", "somebody had changed callback URL, events or menu on NAVER WORKS: they were put right"
	}
	l.Tell(s.bot, e)
}

// claim notes what is about to be set, before it is set: the finalizer and
// status.managed outlive this process. A bot that spec.botID no longer names is
// taken back as well as that goes.
func (l *Line) claim(ctx context.Context, s *botScene, m v1alpha1.ManagedBot) error {
	if had := s.bot.Status.Managed; had != nil && had.BotID != m.BotID {
		if why, err := l.clear(ctx, s, *had); err != nil || !why.OK() {
			l.Tell(s.bot, notTakenBack(*had, why))
		}
		s.state.setup = naverworks.Check{}
	}
	if !controllerutil.ContainsFinalizer(s.bot, v1alpha1.FinalizerBot) {
		if err := l.alter(ctx, s, func(b *v1alpha1.NaverWorksBot) { controllerutil.AddFinalizer(b, v1alpha1.FinalizerBot) }); err != nil {
			return err
		}
	}
	if s.bot.Status.Managed != nil && *s.bot.Status.Managed == m {
		return nil
	}
	s.bot.Status.Managed = &m
	if err := l.Report(ctx, s.stored, s.bot); err != nil {
		return err
	}
	s.stored = s.bot.DeepCopy()
	return nil
}

// alter changes the bot's metadata at the API server, and leaves the status in
// memory as it is.
func (l *Line) alter(ctx context.Context, s *botScene, change func(*v1alpha1.NaverWorksBot)) error {
	after := s.stored.DeepCopy()
	change(after)
	if err := l.Client.Patch(ctx, after, client.MergeFromWithOptions(s.stored, client.MergeFromWithOptimisticLock{})); err != nil {
		return client.IgnoreNotFound(err)
	}
	s.bot.ObjectMeta = *after.ObjectMeta.DeepCopy()
	s.stored.ObjectMeta = *after.ObjectMeta.DeepCopy()
	return nil
}

// release lets the bot go without taking anything back.
func (l *Line) release(ctx context.Context, s *botScene) error {
	s.bot.Status.Managed = nil
	s.state.setup = naverworks.Check{}
	if !controllerutil.ContainsFinalizer(s.bot, v1alpha1.FinalizerBot) {
		return nil
	}
	return l.alter(ctx, s, func(b *v1alpha1.NaverWorksBot) { controllerutil.RemoveFinalizer(b, v1alpha1.FinalizerBot) })
}

// withdraw takes back what was set for a tenant that is gone or going.
func (l *Line) withdraw(ctx context.Context, s *botScene, why naverworks.Verdict) (naverworks.Verdict, error) {
	since := time.Time{}
	if s.tenant != nil {
		since = s.tenant.DeletionTimestamp.Time
	}
	if waits, done, err := l.takeBack(ctx, s, since); err != nil || !done {
		return waits, err
	}
	return why, l.release(ctx, s)
}

// endBot takes back what was set and lets the bot be deleted.
func (l *Line) endBot(ctx context.Context, s *botScene) error {
	if !controllerutil.ContainsFinalizer(s.bot, v1alpha1.FinalizerBot) {
		return nil
	}
	waits, done, err := l.takeBack(ctx, s, s.bot.DeletionTimestamp.Time)
	if err != nil {
		return err
	}
	if done {
		return l.alter(ctx, s, func(b *v1alpha1.NaverWorksBot) { controllerutil.RemoveFinalizer(b, v1alpha1.FinalizerBot) })
	}
	l.Set(&s.bot.Status.Conditions, s.bot.Generation, waits.Condition(v1alpha1.ConditionBotConfigured))
	l.Set(&s.bot.Status.Conditions, s.bot.Generation, naverworks.No(v1alpha1.ReasonTerminating, "see BotConfigured: "+waits.Message).Condition(v1alpha1.ConditionReady))
	return l.Report(ctx, s.stored, s.bot)
}

// takeBack takes back what status.managed notes. It is done also when there is
// no way to do it: without credentials, or when the service has not answered
// for long since that time (zero: no bound).
func (l *Line) takeBack(ctx context.Context, s *botScene, since time.Time) (waits naverworks.Verdict, done bool, err error) {
	managed := s.bot.Status.Managed
	if managed == nil {
		return waits, true, nil
	}
	check, key := &s.state.end, fmt.Sprint(*managed)
	if !check.Fresh(key, s.now) {
		v, err := l.clear(ctx, s, *managed)
		if err != nil {
			return waits, false, err
		}
		if v.OK() {
			return waits, true, nil
		}
		check.Done(key, s.now, v, time.Minute, l.Jitter())
		if v.Reason == v1alpha1.ReasonSecretMissing || !since.IsZero() && s.now.Sub(since) >= takeBackFor {
			l.Tell(s.bot, notTakenBack(*managed, v))
			return waits, true, nil
		}
	}
	s.after(check.Wait(s.now))
	v := check.Shown()
	return naverworks.No(v1alpha1.ReasonTerminating, "what was set on NAVER WORKS is being taken back: "+v.Message), false, nil
}

// clear takes back what was set on a bot, with the credentials that there are,
// else with the last ones that were good. The error is of the cluster.
func (l *Line) clear(ctx context.Context, s *botScene, m v1alpha1.ManagedBot) (naverworks.Verdict, error) {
	others, err := l.botsOf(ctx, s.bot.Namespace, s.bot.Spec.TenantRef.Name)
	if err != nil {
		return naverworks.Verdict{}, err
	}
	for i := range others {
		if o := &others[i]; o.Name != s.bot.Name && o.Spec.BotID == m.BotID && o.Spec.Endpoints.API == s.bot.Spec.Endpoints.API {
			return naverworks.Yes(v1alpha1.ReasonConfigured, "another NaverWorksBot goes on with the bot"), nil
		}
	}
	cfg, v := naverworks.Config(s.bot, s.secret, s.found)
	last, remembered := l.clients.LastProven(s.name())
	if v != (naverworks.Verdict{}) {
		if !remembered {
			return v, nil
		}
		cfg = last
	}
	v = l.clearWith(ctx, s, cfg, m)
	if !v.OK() && v.Status == metav1.ConditionFalse && remembered && naverworks.Key(last) != naverworks.Key(cfg) {
		v = l.clearWith(ctx, s, last, m) // the Secret was spoiled since
	}
	if v.OK() {
		l.Tell(s.bot, Event{Reason: "BotCleared", Action: "Clear", Note: fmt.Sprintf("callback URL and menu of bot %d were taken back on NAVER WORKS", m.BotID)})
	}
	return v, nil
}

func (l *Line) clearWith(ctx context.Context, s *botScene, cfg works.Config, m v1alpha1.ManagedBot) naverworks.Verdict {
	cfg.BotID = m.BotID
	c, err := l.clients.Once(cfg)
	if err != nil {
		return naverworks.No(v1alpha1.ReasonSecretInvalid, err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := botsetup.Clear(ctx, c, wanted(m.BaseURL)); err != nil {
		return naverworks.Explain(s.bot, err)
	}
	return naverworks.Yes(v1alpha1.ReasonConfigured, "taken back")
}

func notTakenBack(m v1alpha1.ManagedBot, why naverworks.Verdict) Event {
	return Event{Warning: true, Reason: "BotNotCleared", Action: "Clear", Note: fmt.Sprintf(
		"callback URL %s and menu of bot %d stay on NAVER WORKS: remove them in the Developer Console; %s", naverworks.CallbackURL(m.BaseURL), m.BotID, why.Message)}
}
