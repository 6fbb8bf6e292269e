package bot

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/text"
	"github.com/dipcast/dipcast/pbx/works"
)

// The bounds of what the bot remembers.
const (
	mailboxSize = 1024
	maxOffers   = 8192  // cards of calls, so that none is sent twice
	maxClaims   = 65536 // pressed buttons
	maxUsers    = 4096  // resolved users, helped users
)

// A card that could not be sent by then is not worth sending.
const (
	staleOffer  = 60 * time.Second
	staleMissed = time.Hour
	staleAnswer = 5 * time.Minute
)

// Bot sends cards and serves presses for one tenant. It implements
// pbx.EventSink.
type Bot struct {
	opts   Options
	sealer *sealer
	dir    atomic.Pointer[directory]
	mail   chan pbx.Event
	wake   chan struct{} // tells the resolver that there may be new users

	mu     sync.Mutex
	offers *bounded[offer, struct{}]
	claims *claims
	users  *bounded[string, resolved]
	helped *bounded[string, time.Time]

	forged, lost, unsent logLimit
}

// offer names a card, so that a person gets one of a kind for one call.
type offer struct {
	call      pbx.CallID
	extension string
	kind      string
}

// New returns a bot; events are taken from then on, cards are sent while Run
// runs.
func New(o Options) (*Bot, error) {
	if o.Control == nil || o.Messenger == nil || o.ResolveUser == nil {
		return nil, errors.New("the bot needs a controller, a messenger and a way to resolve users")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.CallerName == nil {
		o.CallerName = func(string, string) (string, string) { return "", "" }
	}
	s, err := newSealer(o.Key, o.Tenant, o.Rand)
	if err != nil {
		return nil, err
	}
	b := &Bot{
		opts: o, sealer: s,
		mail: make(chan pbx.Event, mailboxSize), wake: make(chan struct{}, 1),
		offers: newBounded[offer, struct{}](maxOffers), claims: newClaims(o.Journal, o.Now()),
		users: newBounded[string, resolved](maxUsers), helped: newBounded[string, time.Time](maxUsers),
	}
	b.Apply(o.Config)
	return b, nil
}

// Apply replaces the configuration; cards already sent follow the new one.
func (b *Bot) Apply(c Config) {
	b.dir.Store(newDirectory(c))
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Handle implements pbx.EventSink: it never blocks. When the mailbox is full
// the oldest event gives way, since the newest call matters most.
func (b *Bot) Handle(e pbx.Event) {
	switch e.Type {
	case pbx.EventOffered, pbx.EventUnanswered, pbx.EventPulled, pbx.EventPullFailed, pbx.EventEnded:
	default:
		return
	}
	for {
		select {
		case b.mail <- e:
			return
		default:
		}
		select {
		case <-b.mail:
			b.dropped()
		default:
		}
	}
}

func (b *Bot) dropped() {
	if b.opts.Hooks.Dropped != nil {
		b.opts.Hooks.Dropped()
	}
	if n, ok := b.lost.allow(b.opts.Now()); ok {
		b.opts.Log.Warn("the bot's mailbox is full, the oldest events are lost", "since the last line", n)
	}
}

// Run sends cards until ctx ends, serves the events that have come until then,
// and waits for what it started.
func (b *Bot) Run(ctx context.Context) error {
	var resolver sync.WaitGroup
	resolver.Go(func() { b.resolveAll(ctx) })
	defer resolver.Wait()
	b.rest() // what was told before: the end of calls of an earlier process
	b.freeLost(ctx)
	for {
		select {
		case <-ctx.Done():
			b.rest()
			return nil
		case e := <-b.mail:
			b.event(e)
		}
	}
}

// rest serves what is in the mailbox: at the end the calls that a shutdown ended.
func (b *Bot) rest() {
	for {
		select {
		case e := <-b.mail:
			b.event(e)
		default:
			return
		}
	}
}

// event does what one event asks for.
func (b *Bot) event(e pbx.Event) {
	d := b.dir.Load()
	switch e.Type {
	case pbx.EventOffered:
		if external(e.Call) {
			if d.Cards.External {
				b.card(d, e, "external", staleOffer)
			}
		} else if d.Cards.Internal {
			b.card(d, e, "internal", staleOffer)
		}
	case pbx.EventUnanswered:
		if d.Cards.Missed {
			b.card(d, e, "missed", staleMissed)
		}
	case pbx.EventPulled, pbx.EventPullFailed:
		b.pullOver(d, e)
	case pbx.EventEnded:
		b.callOver(e.Call)
	}
}

// card sends one card to the person of the event's extension.
func (b *Bot) card(d *directory, e pbx.Event, kind string, stale time.Duration) {
	x, ok := d.byExtension[e.Extension]
	if !ok || x.WorksUser == "" || e.Call.From.Extension == e.Extension || !b.first(offer{e.Call.ID, e.Extension, kind}) {
		return
	}
	viewer := b.userID(x.WorksUser)
	c := card{
		kind: kind, to: called(e.Call, e.Extension), link: d.link(e.Call.ID),
		from: caller(e.Call.From, func(number string) (string, string) {
			if e.Call.From.Extension != "" {
				return d.byExtension[e.Call.From.Extension].DisplayName, "" // a colleague's name is our own, not the phone's
			}
			return b.opts.CallerName(viewer, number)
		}),
	}
	if kind == "missed" {
		c.at = timeOfDay(e.Call.Started, d.TimeZone)
	}
	number := dialable(e.Call.From)
	for _, a := range actions(kind) {
		if a == CallBack && number == "" {
			continue // a withheld number cannot be called: no button that only ever says no
		}
		t := token{Action: a, Issued: b.opts.Now(), User: userHash(viewer), Call: e.Call.ID, Extension: e.Extension}
		if a == CallBack {
			t.Number = number
		}
		sealed, err := b.sealer.seal(t)
		if err != nil {
			b.opts.Log.Error("a card lacks a button", "call", e.Call.ID, "action", a.String(), "error", err)
			continue
		}
		c.buttons = append(c.buttons, button{a, sealed})
	}
	since := e.Call.Started
	if kind == "missed" {
		since = e.Time
	}
	b.opts.Messenger.Send(works.Message{
		To: viewer, Content: c.content(d.lang), Since: since, Deadline: b.opts.Now().Add(stale),
		Done: func(err error) { b.sent(kind, e.Extension, since, err) },
	})
}

// sent measures a card from the fact that it tells of: the call's arrival,
// or the moment it was missed.
func (b *Bot) sent(kind, extension string, since time.Time, err error) {
	now := b.opts.Now()
	if err != nil {
		if n, ok := b.unsent.allow(now); ok {
			b.opts.Log.Warn("a message could not be sent", "kind", kind, "extension", extension, "error", err, "messages", n)
		}
		return
	}
	if b.opts.Hooks.CardSent != nil {
		b.opts.Hooks.CardSent(kind, now.Sub(since))
	}
}

// first reports whether this card was not sent yet, and notes that it is.
func (b *Bot) first(o offer) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.offers.get(o); ok {
		return false
	}
	b.offers.put(o, struct{}{})
	return true
}

// pullOver tells the presser what became of an accepted pull. A failed one
// frees its button.
func (b *Bot) pullOver(d *directory, e pbx.Event) {
	extension := e.Extension
	if extension == "" {
		extension = e.Call.PulledBy
	}
	x, ok := d.byExtension[extension]
	if !ok || x.WorksUser == "" {
		return
	}
	to := e.PullTo
	if to == "" {
		to = e.Call.PulledTo
	}
	if e.Type == pbx.EventPulled {
		b.answer(b.userID(x.WorksUser), extension, say(d.lang, "done."+string(to), extension))
		return
	}
	b.release(claim{call: e.Call.ID, extension: extension, action: actionOf(to)})
	reason := e.Err
	if reason != nil && reason.Code == pbx.CodeChanged {
		return // the answer to the later press says it all
	}
	if reason == nil {
		reason = pbx.Errorf(pbx.CodeFailed, "the pull came to nothing")
	}
	b.answer(b.userID(x.WorksUser), extension, words(d.lang, func(l text.Lang) string {
		if reason.Code == pbx.CodeGone || reason.Code == pbx.CodeTaken {
			return refusal(l, reason)
		}
		return text.Text(l, "failed.back", refusal(l, reason))
	}))
}

func actionOf(to pbx.PullTo) Action {
	switch to {
	case pbx.ToMobile:
		return Mobile
	case pbx.ToAssistant:
		return Assistant
	default:
		return Desk
	}
}

// answer sends one sentence to one user. Answers are as new as the press, so
// that they overtake the cards of older calls.
func (b *Bot) answer(user, extension string, w works.Words) {
	now := b.opts.Now()
	b.opts.Messenger.Send(works.Message{
		To: user, Content: works.Text{Words: w}, Since: now, Deadline: now.Add(staleAnswer),
		Done: func(err error) {
			if err != nil {
				b.sent("answer", extension, now, err)
			}
		},
	})
}
