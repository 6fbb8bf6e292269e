package vault

import (
	"context"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/pbxtest/memjournal"
	"github.com/dipcast/dipcast/pbx/sdp"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
)

// savedPort is a port whose state the test changes.
type savedPort struct {
	media.Port
	mu    sync.Mutex
	state media.PortState
	held  int
}

func (p *savedPort) Save() media.PortState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

func (p *savedPort) Hold() { p.held++ }

func (p *savedPort) set(f func(*media.PortState)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.state)
	p.state.Saved = time.Now()
}

func TestPortsAreWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memjournal.Journal{}
		v := New(store)
		done := make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		go func() { defer close(done); v.Run(ctx) }()
		p := &savedPort{}
		p.set(func(s *media.PortState) { s.Local = netip.MustParseAddrPort("192.0.2.1:40000") })
		for range 2 {
			if err := v.Put(&Record{ID: "a", Port: p.Save()}, p); err != nil {
				t.Fatal(err)
			}
		}
		if p.held != 1 {
			t.Errorf("held %d times", p.held)
		}
		written := func() media.PortState {
			r, _ := New(store.Copy()).Take("a")
			return r.Port
		}
		p.set(func(s *media.PortState) { s.Quality.PacketsIn = 7 })
		<-time.After(1500 * time.Millisecond)
		if written().Quality.PacketsIn != 0 {
			t.Error("a counter was written at once")
		}
		p.set(func(s *media.PortState) { s.In.SSRC = 9 })
		<-time.After(time.Second)
		if s := written(); s.In.SSRC != 9 || s.Quality.PacketsIn != 7 {
			t.Errorf("a new stream is not written: %+v", s)
		}
		p.set(func(s *media.PortState) { s.Quality.PacketsIn = 8 })
		<-time.After(6 * time.Second)
		if s := written(); s.Quality.PacketsIn != 8 {
			t.Errorf("the counters are not written: %+v", s)
		}
		p.set(func(s *media.PortState) { s.Quality.PacketsIn = 9 })
		stop()
		<-done
		if s := written(); s.Quality.PacketsIn != 9 {
			t.Errorf("the last state is not written: %+v", s)
		}
		v.Delete("a")
		if n := store.Len(); n != 0 {
			t.Errorf("%d records are left", n)
		}
		if err := store.PutAll(journal.Record{Kind: KindPort, ID: "stray", Value: []byte{0}}); err != nil {
			t.Fatal(err)
		}
		if v := New(store); len(v.Rest()) != 0 || store.Len() != 0 {
			t.Error("the port of no leg is kept")
		}
	})
}

// BenchmarkPut is what the journal costs a leg that is answered and ends.
func BenchmarkPut(b *testing.B) {
	j, err := journal.Open(b.Context(), filepath.Join(b.TempDir(), "journal"), make([]byte, 32), journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	v := New(j)
	r := Record{
		ID: "leg", Phone: "101", Contact: "sip:192.0.2.1:5060", Timer: time.Now(),
		Dialog: dialog.Dialog{
			CallID: "f81d4fae7dec11d0a76500a0c91e6bf6", State: dialog.Confirmed, Target: "sip:101@198.51.100.7:5062",
			Local:  dialog.Party{URI: "sip:102@acme.example.com", Tag: "f81d4fae7dec11d0a76500a0c91e6bf6"},
			Remote: dialog.Party{URI: "sip:101@acme.example.com", Tag: "abc"},
			Allow:  []string{"INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "PRACK", "INFO"},
		},
		Session: sdp.Session{ID: 7, Settled: true, Codecs: []string{"PCMA", "PCMU"}, Body: strings.Repeat("a=rtpmap:8 PCMA/8000\r\n", 8)},
		Port:    media.PortState{Saved: time.Now(), Applied: true, Local: netip.MustParseAddrPort("192.0.2.1:40000"), Out: media.Outgoing{SSRC: 1, Highest: 7}},
	}
	p := &savedPort{}
	for i := 0; b.Loop(); i++ {
		r.ID = pbx.LegID(strconv.Itoa(i))
		if err := v.Put(&r, p); err != nil {
			b.Fatal(err)
		}
		v.Delete(r.ID)
	}
}
