package bot

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/text"
	"github.com/dipcast/dipcast/pbx/works"
)

const (
	// callbackAge is how old a press may be: callbacks come late, but a call
	// that is placed minutes after the press surprises people, and a recorded
	// callback must not work for ever. The web endpoint's memory for
	// duplicates is longer.
	callbackAge = 10 * time.Minute
	// buttonAge is how long a button does anything.
	buttonAge = 7 * 24 * time.Hour
	// controlTimeout is how long the engine may take to accept a command.
	controlTimeout = 5 * time.Second
	helpInterval   = 30 * time.Second
)

// Deliver takes the body of a callback whose signature was verified. It returns
// the error of ctx if that ended before a press was decided: then nothing has
// happened, and nobody was told anything.
func (b *Bot) Deliver(ctx context.Context, body []byte) error {
	ev, err := works.DecodeCallback(body)
	if err != nil {
		if n, ok := b.forged.allow(b.opts.Now()); ok {
			b.opts.Log.WarnContext(ctx, "a signed callback could not be read", "error", err, "callbacks", n)
		}
		return nil
	}
	return b.Press(ctx, ev)
}

// Press serves one callback: a press is done once and answered, a line is
// answered with help, everything else is ignored. It returns when the engine
// has accepted or refused the command, or an error as Deliver does.
func (b *Bot) Press(ctx context.Context, ev works.Event) error {
	if ev.UserID == "" || ev.Type != works.EventMessage && ev.Type != works.EventPostback {
		return nil
	}
	if !strings.HasPrefix(ev.Postback, tokenPrefix) {
		b.help(ev)
		return nil
	}
	t, err := b.sealer.open(ev.Postback)
	if err != nil {
		// Whoever makes up tokens learns nothing from us.
		b.observe("unknown", "forged")
		if n, ok := b.forged.allow(b.opts.Now()); ok {
			b.opts.Log.WarnContext(ctx, "a press with a token that is not ours was ignored", "user", ev.UserID, "presses", n)
		}
		return nil
	}
	outcome, answer := b.serve(ctx, t, ev)
	if outcome == interrupted {
		return ctx.Err()
	}
	b.observe(t.Action.String(), outcome)
	b.opts.Log.InfoContext(ctx, "button pressed", "call", t.Call, "action", t.Action.String(), "extension", t.Extension, "outcome", outcome)
	b.answer(ev.UserID, t.Extension, answer)
	return nil
}

// interrupted is the outcome of a press that was not decided in time.
const interrupted = "interrupted"

// serve decides a press and does it. It returns the outcome for metrics and
// the sentence for the presser.
func (b *Bot) serve(ctx context.Context, t token, ev works.Event) (string, works.Words) {
	d, now := b.dir.Load(), b.opts.Now()
	switch ours, err := b.authorised(ctx, d, t, ev.UserID); {
	case err != nil && ctx.Err() != nil:
		return interrupted, works.Words{}
	case err != nil:
		b.opts.Log.WarnContext(ctx, "a presser's user ID could not be compared with the extension's user", "extension", t.Extension, "error", err)
		return "unverified", say(d.lang, "press.unverified")
	case !ours:
		return refuse(d, pbx.Errorf(pbx.CodeNotYours, "the card was sent to somebody else"))
	}
	if !ev.Issued.IsZero() && (now.Sub(ev.Issued) > callbackAge || ev.Issued.Sub(now) > callbackAge) {
		return "late", say(d.lang, "press.late")
	}
	if now.Sub(t.Issued) > buttonAge {
		return refuse(d, pbx.ErrGone)
	}
	if !b.take(t.claim(), pressOf(ev)) {
		return refuse(d, pbx.Errorf(pbx.CodePressed, "the button was already pressed"))
	}
	if err := b.do(ctx, t); err != nil {
		// Nothing has happened, so the button stays good for another try.
		b.release(t.claim())
		return refuse(d, err)
	}
	return "ok", accepted(d, t)
}

// authorised reports whether the presser is who the card was sent to and
// still is the person of that extension.
func (b *Bot) authorised(ctx context.Context, d *directory, t token, presser string) (bool, error) {
	x, ok := d.byExtension[t.Extension]
	if !ok || x.WorksUser == "" {
		return false, nil
	}
	// The look-up comes first: it also finds out that an address has passed
	// to the presser, to whom the next card must go.
	if same, err := b.is(ctx, x.WorksUser, presser); err != nil || !same {
		return false, err
	}
	return t.User == userHash(presser) || t.User == userHash(x.WorksUser), nil
}

// do gives the command to the engine.
func (b *Bot) do(ctx context.Context, t token) error {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	if t.Action != CallBack {
		err := b.opts.Control.Pull(ctx, pbx.Pull{Call: t.Call, Extension: t.Extension, To: t.Action.pullTo()})
		if err == nil {
			b.done(t.claim(), "")
		}
		return err
	}
	x := b.dir.Load().byExtension[t.Extension]
	name, company := b.opts.CallerName(b.userID(x.WorksUser), t.Number)
	if name == "" {
		name = company
	}
	id, err := b.opts.Control.CallBack(ctx, pbx.CallBack{
		Extension: t.Extension, Number: t.Number, Name: works.CleanName(name, maxName), After: t.Call,
	})
	if err != nil {
		return err
	}
	b.done(t.claim(), id)
	return nil
}

// accepted is the sentence for a command that is under way.
func accepted(d *directory, t token) works.Words {
	switch t.Action {
	case Mobile:
		return say(d.lang, "press.mobile", d.byExtension[t.Extension].Mobile)
	case CallBack:
		return say(d.lang, "press.callback", t.Extension, cleanNumber(t.Number))
	case Assistant:
		return say(d.lang, "press.assistant")
	default:
		return say(d.lang, "press.desk", t.Extension)
	}
}

func refuse(d *directory, err error) (string, works.Words) {
	return string(pbx.CodeOf(err)), words(d.lang, func(l text.Lang) string { return refusal(l, err) })
}

// refusal is the sentence of a refused command.
func refusal(l text.Lang, err error) string {
	code := pbx.CodeOf(err)
	var e *pbx.Error
	if code == pbx.CodeTaken && errors.As(err, &e) && e.Who != "" {
		return text.Text(l, "code.taken-by", works.CleanName(e.Who, maxName))
	}
	key := "code." + string(code)
	if !text.Has(l, key) {
		key = "code." + string(pbx.CodeFailed)
	}
	return text.Text(l, key)
}

// help answers a typed line, the Start button and presses of menus that are
// no card's.
func (b *Bot) help(ev works.Event) {
	d, now := b.dir.Load(), b.opts.Now()
	b.mu.Lock()
	last, ok := b.helped.get(ev.UserID)
	again := !ok || now.Sub(last) >= helpInterval
	if again {
		b.helped.remove(ev.UserID)
		b.helped.put(ev.UserID, now)
	}
	b.mu.Unlock()
	if !again {
		return // a chatty user must not use up the rate that the cards need
	}
	extension, known := b.extensionOf(d, ev.UserID)
	b.answer(ev.UserID, extension, words(d.lang, func(l text.Lang) string {
		if !known {
			return text.Text(l, "help.unknown")
		}
		s := text.Text(l, "help")
		if works.CheckURI(d.BaseURL) == nil {
			s += "\n" + text.Text(l, "help.web", d.BaseURL)
		}
		return s
	}))
}

// extensionOf returns the extension of a user from what is known already.
func (b *Bot) extensionOf(d *directory, user string) (string, bool) {
	for _, x := range d.Extensions {
		if x.WorksUser != "" && b.userID(x.WorksUser) == user {
			return x.Number, true
		}
	}
	return "", false
}

func (b *Bot) observe(action, outcome string) {
	if b.opts.Hooks.Press != nil {
		b.opts.Hooks.Press(action, outcome)
	}
}
