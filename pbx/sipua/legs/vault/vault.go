package vault

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/sdp"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
)

// The kinds of records in the journal, by leg ID.
const (
	KindLeg  = "leg"
	KindPort = "port"
)

const (
	// lookEvery is how soon a changed port is written, countEvery how soon one
	// of which only the counters have changed.
	lookEvery  = time.Second
	countEvery = 5 * time.Second
	// atOnce is how many ports go into one write.
	atOnce = 64
)

// Record is one answered leg.
type Record struct {
	ID    pbx.LegID `json:"id"`
	Trunk string    `json:"trunk,omitempty"` // empty for a phone
	Phone string    `json:"phone,omitempty"` // the phone's extension
	// Instance names the phone among those of its extension.
	Instance string          `json:"instance,omitempty"`
	Dialog   dialog.Dialog   `json:"dialog"`
	Session  sdp.Session     `json:"session"`
	Hop      edge.Hop        `json:"hop"`     // where requests inside the dialog go
	Contact  string          `json:"contact"` // of ours, as the peer knows it
	Held     bool            `json:"held,omitempty"`
	Timer    time.Time       `json:"timer,omitzero"` // when the session's interval began
	Port     media.PortState `json:"port"`
	Answer   *Answer         `json:"answer,omitempty"`
}

// Answer is our 2xx to an INVITE, whose ACK has not come yet.
type Answer struct {
	Text  string    `json:"text"`
	Seq   uint32    `json:"seq"`             // the INVITE's
	Late  bool      `json:"late,omitempty"`  // it carries our offer
	Again bool      `json:"again,omitempty"` // to a re-INVITE
	Sent  time.Time `json:"sent"`
}

// Vault is the records of all legs. Its methods may be called from any
// goroutine; Run is the goroutine that writes ports again.
type Vault struct {
	legs  *journal.Table[Record]
	ports *journal.Table[media.PortState]

	mu   sync.Mutex
	left map[pbx.LegID]*Record
	open map[pbx.LegID]*entry
	list []*entry // Run's, for each look anew
}

// entry is the port of a leg that is kept.
type entry struct {
	id     pbx.LegID
	port   media.Port
	last   mapping
	passed int // looks since it was written
}

// mapping is what makes a port's state worth writing at once.
type mapping struct {
	peer, rtcp      netip.AddrPort
	in, out         uint32
	source, relayed uint64
	seq             uint16
	ts              uint32
}

func mappingOf(s *media.PortState) mapping {
	return mapping{
		peer: s.Peer, rtcp: s.PeerRTCP, in: s.In.SSRC, out: s.Out.SSRC,
		source: s.In.Source, relayed: s.Out.Source, seq: s.Out.SeqAdd, ts: s.Out.TimeAdd,
	}
}

// New returns the vault of a store, nil for one that keeps nothing, with what
// an earlier process has left in it.
func New(store journal.Store) *Vault {
	v := &Vault{
		legs: journal.NewTable[Record](store, KindLeg), ports: journal.NewTable[media.PortState](store, KindPort),
		left: make(map[pbx.LegID]*Record), open: make(map[pbx.LegID]*entry),
	}
	ports := v.ports.All()
	for id, r := range v.legs.All() {
		if p := ports[id]; p != nil && p.Saved.After(r.Port.Saved) {
			r.Port = *p
		}
		if string(r.ID) == id {
			v.left[r.ID] = r
		}
	}
	for id := range ports {
		if v.left[pbx.LegID(id)] == nil {
			v.ports.Delete(id)
		}
	}
	return v
}

// Keeps reports whether there is a store.
func (v *Vault) Keeps() bool { return v.legs.Keeps() }

// Take returns the record that an earlier process left of a leg, once.
func (v *Vault) Take(id pbx.LegID) (*Record, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, ok := v.left[id]
	delete(v.left, id)
	return r, ok
}

// Rest takes every record that nobody has taken.
func (v *Vault) Rest() []*Record {
	v.mu.Lock()
	defer v.mu.Unlock()
	rest := slices.Collect(maps.Values(v.left))
	clear(v.left)
	return rest
}

// Put writes the record of a leg. The first one leaves the port's sockets to
// the next process, and from then on the port is written again by Run.
func (v *Vault) Put(r *Record, port media.Port) error {
	if !v.Keeps() {
		return nil
	}
	if _, err := v.legs.Put(string(r.ID), r, 0); err != nil {
		return err
	}
	v.mu.Lock()
	first := v.open[r.ID] == nil
	if first {
		v.open[r.ID] = &entry{id: r.ID, port: port, last: mappingOf(&r.Port)}
	}
	v.mu.Unlock()
	if first {
		port.Hold()
	}
	return nil
}

// Delete forgets a leg that is over.
func (v *Vault) Delete(id pbx.LegID) {
	v.mu.Lock()
	delete(v.open, id)
	v.mu.Unlock()
	v.legs.Delete(string(id))
	v.ports.Delete(string(id))
}

// Run writes ports again until ctx ends, and all of them at the end.
func (v *Vault) Run(ctx context.Context) {
	if !v.Keeps() {
		return
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			v.look(true)
			return
		case <-tick.C:
			v.look(false)
		}
	}
}

// look writes the ports that are worth it. Errors are the journal's to tell;
// the next look tries again.
func (v *Vault) look(all bool) {
	open := v.opened()
	batch := make([]journal.Record, 0, min(len(open), atOnce))
	written := make([]*entry, 0, cap(batch))
	flush := func() {
		if v.ports.PutAll(batch) == nil {
			v.undelete(batch)
			for _, e := range written {
				e.passed = 0
			}
		}
		batch, written = batch[:0], written[:0]
	}
	var s media.PortState // one for all: each is packed before the next
	for _, e := range open {
		e.passed++
		s = e.port.Save()
		m := mappingOf(&s)
		if !all && m == e.last && e.passed < int(countEvery/lookEvery) {
			continue
		}
		e.last = m
		batch, written = append(batch, v.ports.Pack(string(e.id), &s)), append(written, e)
		if len(batch) == atOnce {
			flush()
		}
	}
	flush()
}

// opened lists the ports that are kept. The list is Run's until its next look.
func (v *Vault) opened() []*entry {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.list) // those of legs that are over
	v.list = v.list[:0]
	for _, e := range v.open {
		v.list = append(v.list, e)
	}
	return v.list
}

// undelete takes back the ports of legs that ended while they were written.
func (v *Vault) undelete(batch []journal.Record) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range batch {
		if v.open[pbx.LegID(r.ID)] == nil {
			v.ports.Delete(r.ID)
		}
	}
}

// Answered returns the Call-IDs of the peers' INVITEs that were answered, of
// legs that are in the journal.
func Answered(store journal.Store) map[string]bool {
	all := make(map[string]bool)
	for _, r := range journal.NewTable[Record](store, KindLeg).All() {
		if !r.Dialog.Caller {
			all[r.Dialog.CallID] = true
		}
	}
	return all
}
