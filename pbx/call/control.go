package call

import (
	"context"
	"slices"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call/state"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/dialplan"
)

// Pull implements pbx.Controller.
func (e *Engine) Pull(ctx context.Context, p pbx.Pull) error {
	r, ok := e.find(p.Call)
	if !ok {
		return pbx.ErrGone
	}
	ext := dialplan.Extension(r.doc, p.Extension)
	in := press{
		To:    p.To,
		Phone: dialplan.Phone{Extension: p.Extension, Name: ext.DisplayName, AutoAnswer: ext.AutoAnswer, Person: true},
	}
	if p.To == pbx.ToMobile {
		in.Out, in.Diverted, in.Refused = dialplan.Mobile(r.doc, ext, r.snapshot().From, e.cfg.Now())
	}
	return r.ask(ctx, in)
}

// CallBack implements pbx.Controller. Whether the other party can be reached
// at all is found before the presser's phone rings.
func (e *Engine) CallBack(_ context.Context, c pbx.CallBack) (pbx.CallID, error) {
	doc, now := e.cfg.Document(), e.cfg.Now()
	ext := dialplan.Extension(doc, c.Extension)
	if ext.Number == "" {
		return "", pbx.Errorf(pbx.CodeNotRegistered, "there is no extension %s", dialplan.Visible(c.Extension))
	}
	from := dialplan.Caller(doc, pbx.Party{Extension: c.Extension})
	plan := dialplan.Resolve(doc, dialplan.Query{Dialled: c.Number, From: from, Written: true, Now: now})
	if plan.To.Extension == ext.Number {
		return "", pbx.Errorf(pbx.CodeBadNumber, "extension %s cannot call itself back", ext.Number)
	}
	if plan.Refusal != nil {
		return "", plan.Refusal.Error()
	}
	if len(e.cfg.Dialer.Contacts(c.Extension)) == 0 {
		return "", pbx.Errorf(pbx.CodeNotRegistered, "no phone of extension %s is registered", ext.Number)
	}
	s := state.New(e.cfg.NewID(), now, dialplan.Visible(c.Number), plan)
	s.From, s.Timing = from, e.cfg.Timing
	if s.To.Name == "" {
		s.To.Name = dialplan.Visible(c.Name)
	}
	s.Back = &Back{Phone: dialplan.Phone{Extension: ext.Number, Name: ext.DisplayName, AutoAnswer: ext.AutoAnswer}}
	_, err := e.launch(doc, s, plan.Emergency, func(*run) {}, start{})
	if err != nil {
		return "", err
	}
	e.cfg.Log.Info("call back begins", "call", s.ID, "extension", ext.Number, "after", c.After)
	return s.ID, nil
}

// Hangup implements pbx.Controller.
func (e *Engine) Hangup(ctx context.Context, id pbx.CallID) error {
	r, ok := e.find(id)
	if !ok {
		return pbx.ErrGone
	}
	return r.ask(ctx, hangup{})
}

// Calls implements pbx.Controller: the calls that are not over, oldest first.
func (e *Engine) Calls(context.Context) ([]pbx.Call, error) {
	e.mu.Lock()
	calls := make([]pbx.Call, 0, len(e.calls))
	for _, r := range e.calls {
		calls = append(calls, r.snapshot())
	}
	e.mu.Unlock()
	slices.SortFunc(calls, func(a, b pbx.Call) int { return a.Started.Compare(b.Started) })
	return calls, nil
}

// Call implements pbx.Controller.
func (e *Engine) Call(_ context.Context, id pbx.CallID) (pbx.Call, error) {
	r, ok := e.find(id)
	if !ok {
		return pbx.Call{}, pbx.ErrGone
	}
	return r.snapshot(), nil
}

func (e *Engine) find(id pbx.CallID) (*run, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.calls[id]
	return r, ok
}

// admit asks the tap for one outside call.
func (e *Engine) admit(doc *conf.Document) *dialplan.Refusal {
	refusal := e.tap.Admit(doc)
	if refusal != nil {
		e.cfg.Log.Warn("outside call refused by the toll-fraud guard", "reason", refusal.Cause.Text)
	}
	return refusal
}
