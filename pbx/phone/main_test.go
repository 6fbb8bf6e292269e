package phone

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; nothing is measured by it.
const patience = 20 * time.Second

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func newPhone(t *testing.T, cfg Config) *Phone {
	t.Helper()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func uriOf(p *Phone, user string) string { return "sip:" + user + "@" + p.Addr().String() }

// connected returns an answered call between two phones.
func connected(t *testing.T, a, b *Phone) (caller, callee *Call) {
	t.Helper()
	ctx := soon(t)
	caller, err := a.Dial(ctx, dialTo(b), DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	callee, err = b.WaitIncoming(ctx)
	if err != nil {
		t.Fatal(err)
	}
	must(t, callee.Ring())
	must(t, caller.WaitRinging(ctx))
	must(t, callee.Answer(ctx))
	must(t, caller.WaitAnswered(ctx))
	return caller, callee
}

func dialTo(p *Phone) string {
	uri := uriOf(p, p.cfg.User)
	if p.transport == "TCP" {
		uri += ";transport=tcp"
	}
	return uri
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
