package poll

import (
	"errors"
	"testing"
)

// sender sends a packet with a text to a socket.
func sender(t *testing.T) func(to *Socket, text string) {
	t.Helper()
	s := listen(t, loopback)
	t.Cleanup(func() { _ = s.Close() })
	return func(to *Socket, text string) {
		t.Helper()
		at := AddrOf(to.Local())
		if err := s.Send([]byte(text), &at); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCalmSockets: what is in no hurry comes all the same, alone and beside
// what is, in order, and as soon as anything again when it is calm no more.
func TestCalmSockets(t *testing.T) {
	p, send := newPoller(t), sender(t)
	calm, prompt := make(reader, 10), make(reader, 10)
	a, b := listen(t, loopback), listen(t, loopback)
	defer a.Close()
	defer b.Close()
	if err := p.Calm(a, true); err != nil {
		t.Errorf("a socket that the poller does not have: %v", err)
	}
	if err := errors.Join(p.Add(a, calm), p.Add(b, prompt)); err != nil {
		t.Fatal(err)
	}
	for _, on := range []bool{true, true, false, false, true} {
		if err := p.Calm(a, on); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			for _, text := range []string{"one", "two", "three"} {
				send(a, text)
				send(b, text)
			}
			for _, text := range []string{"one", "two", "three"} {
				if got := calm.next(t); string(got.b) != text {
					t.Errorf("calm %v: %q came, want %q", on, got.b, text)
				}
				if got := prompt.next(t); string(got.b) != text {
					t.Errorf("beside calm %v: %q came, want %q", on, got.b, text)
				}
			}
		}
	}
}

// TestCalmSocketIsRemoved: it is silent then, the others are not.
func TestCalmSocketIsRemoved(t *testing.T) {
	p, send := newPoller(t), sender(t)
	got := make(reader, 10)
	a, b := listen(t, loopback), listen(t, loopback)
	defer b.Close()
	for _, s := range []*Socket{a, b} {
		if err := errors.Join(p.Add(s, got), p.Calm(s, true)); err != nil {
			t.Fatal(err)
		}
	}
	removed := make(chan struct{})
	p.Do(func() { p.Remove(a); close(removed) })
	<-removed
	send(a, "late")
	send(b, "other")
	if r := got.next(t); string(r.b) != "other" {
		t.Errorf("got %q of a removed socket", r.b)
	}
	if n := p.calm.count.Load(); n != 1 {
		t.Errorf("%d calm sockets, want 1", n)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	p.Close()
	if err := p.Calm(b, false); err != nil {
		t.Errorf("after the end: %v", err)
	}
}
