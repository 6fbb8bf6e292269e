package poll

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// on runs f in the poller's goroutine.
func on(p *Poller, f func()) {
	done := make(chan struct{})
	p.Do(func() { f(); close(done) })
	<-done
}

// remove takes sockets out of the poller and closes them.
func remove(p *Poller, sockets ...*Socket) {
	on(p, func() {
		for _, s := range sockets {
			p.Remove(s)
			_ = s.Close()
		}
	})
}

// binds are the addresses that sockets of these tests are bound to, and where
// they are then reached.
var binds = []struct{ bind, at string }{
	{"127.0.0.1", "127.0.0.1"},
	{"::1", "::1"},
	{"0.0.0.0", "127.0.0.1"},
	{"::", "::1"},
}

func TestConnectedSocketHearsItsPeerAlone(t *testing.T) {
	for _, tt := range binds {
		t.Run(tt.bind, func(t *testing.T) {
			at := netip.MustParseAddr(tt.at)
			p, s := newPoller(t), listen(t, netip.AddrPortFrom(netip.MustParseAddr(tt.bind), 0))
			defer remove(p, s)
			peer, other := listen(t, netip.AddrPortFrom(at, 0)), listen(t, netip.AddrPortFrom(at, 0))
			defer peer.Close()
			defer other.Close()
			got := make(reader, 10)
			if err := p.Add(s, got); err != nil {
				t.Fatal(err)
			}
			here, there := AddrOf(netip.AddrPortFrom(at, s.Local().Port())), AddrOf(peer.Local())
			say := func(who *Socket, what string) {
				t.Helper()
				if err := who.Send([]byte(what), &here); err != nil {
					t.Fatal(err)
				}
			}
			expect := func(what string) {
				t.Helper()
				if r := got.next(t); string(r.b) != what {
					t.Fatalf("got %q from %v, want %q", r.b, r.from, what)
				}
			}
			say(peer, "first")
			expect("first")
			on(p, func() {
				if !s.Connect(&there) || !s.Connected() {
					t.Error("not connected")
				}
			})
			say(other, "foreign")
			say(peer, "second")
			expect("second")
			if err := s.Send([]byte("back"), &there); err != nil {
				t.Error(err)
			}
			elsewhere := AddrOf(other.Local())
			if err := s.Send([]byte("elsewhere"), &elsewhere); err != nil {
				t.Error(err)
			}
			for who, what := range map[*Socket]string{peer: "back", other: "elsewhere"} {
				in := newInbox(100)
				if n := who.receive(in); n < 0 || string(in.buf[:n]) != what || in.from.AddrPort() != here.AddrPort() {
					t.Errorf("got %q from %v, want %q from %v", in.buf[:max(n, 0)], in.from.AddrPort(), what, here.AddrPort())
				}
			}
			on(p, s.Disconnect)
			say(other, "not foreign now")
			expect("not foreign now")
			if name, err := s.name(); err != nil || name != s.Local() {
				t.Errorf("bound to %v, %v, want %v", name, err, s.Local())
			}
		})
	}
}

// TestPeerElsewhereIsNotShutOut has a socket of every address whose peer speaks
// to another one than the kernel would send from.
func TestPeerElsewhereIsNotShutOut(t *testing.T) {
	p, s := newPoller(t), listen(t, netip.MustParseAddrPort("0.0.0.0:0"))
	defer remove(p, s)
	peer := listen(t, loopback)
	defer peer.Close()
	got := make(reader, 10)
	if err := p.Add(s, got); err != nil {
		t.Fatal(err)
	}
	second, there := AddrOf(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), s.Local().Port())), AddrOf(peer.Local())
	for range 2 {
		if err := peer.Send([]byte("hello"), &second); err != nil {
			t.Fatal(err)
		}
		got.next(t)
		on(p, func() {
			if s.Connect(&there) || s.Connected() {
				t.Error("connected: the peer would not be heard")
			}
		})
	}
}

// TestRefusalIsBorne sends to a peer that is gone: nothing fails, nothing else
// is lost, and the socket is told of it once.
func TestRefusalIsBorne(t *testing.T) {
	p, s := newPoller(t), listen(t, loopback)
	defer remove(p, s)
	peer, other := listen(t, loopback), listen(t, loopback)
	defer other.Close()
	got := make(reader, 10)
	if err := p.Add(s, got); err != nil {
		t.Fatal(err)
	}
	here, there := AddrOf(s.Local()), AddrOf(peer.Local())
	on(p, func() { s.Connect(&there) })
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := s.Send([]byte("anybody there"), &there); err != nil {
			t.Fatal(err)
		}
	}
	for connected := true; connected; on(p, func() { connected = s.Connected() }) {
	}
	if err := other.Send([]byte("hello"), &here); err != nil {
		t.Fatal(err)
	}
	if r := got.next(t); string(r.b) != "hello" {
		t.Errorf("got %q", r.b)
	}
	if err := s.Send([]byte("still"), &there); err != nil {
		t.Error(err)
	}
}

// TestSendOutlivesItsConnection has the kernel disconnect behind a sender's back.
func TestSendOutlivesItsConnection(t *testing.T) {
	s, peer := listen(t, loopback), listen(t, loopback)
	defer s.Close()
	defer peer.Close()
	there := AddrOf(peer.Local())
	s.Connect(&there)
	s.untie()
	if err := s.Send([]byte("still"), &there); err != nil {
		t.Fatal(err)
	}
	in := newInbox(100)
	if n := peer.receive(in); n < 0 || string(in.buf[:n]) != "still" || in.from.AddrPort() != s.Local() {
		t.Errorf("got %q from %v, want it from %v", in.buf[:max(n, 0)], in.from.AddrPort(), s.Local())
	}
}

// TestConnectedSocketIsTakenOver gives a connected socket with a packet in it to
// the next owner, who is open to everybody.
func TestConnectedSocketIsTakenOver(t *testing.T) {
	for _, tt := range binds {
		t.Run(tt.bind, func(t *testing.T) {
			at := netip.MustParseAddr(tt.at)
			first := listen(t, netip.AddrPortFrom(netip.MustParseAddr(tt.bind), 0))
			number := first.Local().Port()
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			s := listen(t, netip.AddrPortFrom(netip.MustParseAddr(tt.bind), number)) // a number that was asked for
			peer, other := listen(t, netip.AddrPortFrom(at, 0)), listen(t, netip.AddrPortFrom(at, 0))
			defer peer.Close()
			defer other.Close()
			here, there := AddrOf(netip.AddrPortFrom(at, number)), AddrOf(peer.Local())
			if errno := s.connect(&there); errno != 0 {
				t.Fatal(errno)
			}
			if err := peer.Send([]byte("waits"), &here); err != nil {
				t.Fatal(err)
			}
			f, err := s.File()
			if err != nil {
				t.Fatal(err)
			}
			local := s.Local()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			next, err := Adopt(f)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			defer next.Close()
			if next.Local() != local {
				t.Errorf("bound to %v, want %v", next.Local(), local)
			}
			if err := other.Send([]byte("new"), &here); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"waits", "new"} {
				in := newInbox(100)
				if n := next.receive(in); n < 0 || string(in.buf[:n]) != want {
					t.Errorf("got %q, want %q", in.buf[:max(n, 0)], want)
				}
			}
		})
	}
}

// TestWatchedPacketCostsNoAllocation is of a socket of every address.
func TestWatchedPacketCostsNoAllocation(t *testing.T) {
	s, peer := listen(t, netip.MustParseAddrPort("0.0.0.0:0")), listen(t, loopback)
	defer s.Close()
	defer peer.Close()
	here, there, in := AddrOf(netip.AddrPortFrom(loopback.Addr(), s.Local().Port())), AddrOf(peer.Local()), newInbox(2048)
	packet := make([]byte, 172)
	if n := testing.AllocsPerRun(100, func() {
		if err := peer.Send(packet, &here); err != nil {
			t.Fatal(err)
		}
		if s.receive(in) != len(packet) || s.arrived != loopback.Addr() || !s.Connect(&there) {
			t.Fatalf("%v sent to %v", s.arrived, here.AddrPort())
		}
		if err := s.Send(packet, &there); err != nil || peer.receive(in) != len(packet) {
			t.Fatal(err)
		}
		s.Disconnect()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkRelay is one packet in and one out.
func BenchmarkRelay(b *testing.B) {
	for name, connected := range map[string]bool{"open": false, "connected": true} {
		b.Run(name, func(b *testing.B) {
			s, peer := listen(b, loopback), listen(b, loopback)
			defer s.Close()
			defer peer.Close()
			here, there, in := AddrOf(s.Local()), AddrOf(peer.Local()), newInbox(2048)
			if connected && !s.Connect(&there) {
				b.Fatal("not connected")
			}
			packet := make([]byte, 172)
			for b.Loop() {
				_ = peer.Send(packet, &here)
				if n := s.receive(in); n != len(packet) || s.Send(packet, &there) != nil {
					b.Fatal(n)
				}
				_, _, _ = unix.Recvfrom(peer.fd, packet, unix.MSG_DONTWAIT)
			}
		})
	}
}
