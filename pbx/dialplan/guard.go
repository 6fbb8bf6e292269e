package dialplan

import (
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/journal"
)

// Kind is what the record of a Guard is called in the journal; there is one.
const Kind = "tap"

const (
	tapID = "tap"
	// countEvery is how soon attempts are written that are far from the limit.
	countEvery = time.Second
)

// Guard is the Tap of a tenant for many goroutines, with the tenant's clock. What
// it has counted outlives the process: a restart opens no tap that was closed.
type Guard struct {
	now     func() time.Time
	table   *journal.Table[Count]
	mu      sync.Mutex
	tap     Tap
	written time.Time
}

// NewGuard returns a guard that goes by that clock and goes on with what an
// earlier one has left in the journal; nil = none.
func NewGuard(now func() time.Time, store journal.Store) *Guard {
	g := &Guard{now: now, table: journal.NewTable[Count](store, Kind)}
	if c := g.table.All()[tapID]; c != nil {
		g.tap = c.Tap()
	}
	return g
}

// keep writes what was counted; the caller holds mu. An error is the journal's
// to tell; the next count is written again.
func (g *Guard) keep(now time.Time) {
	c := g.tap.Count()
	if _, err := g.table.Put(tapID, &c, 0); err == nil {
		g.written = now
	}
}

// Admit counts an attempt, or refuses it.
func (g *Guard) Admit(doc *conf.Document) *Refusal {
	now := g.local(doc)
	g.mu.Lock()
	defer g.mu.Unlock()
	refused := g.tap.Admit(doc.Outbound, now)
	if refused == nil && (g.tap.full(doc.Outbound) || now.Sub(g.written) >= countEvery) {
		g.keep(now)
	}
	return refused
}

// Talking notes that an outside leg was answered at that time; zero is now.
func (g *Guard) Talking(doc *conf.Document, leg pbx.LegID, since time.Time) {
	now := g.local(doc)
	if since.IsZero() {
		since = now
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tap.Talking(leg, since.In(now.Location()), now)
}

// Over notes that a leg is over.
func (g *Guard) Over(doc *conf.Document, leg pbx.LegID) {
	now := g.local(doc)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tap.Over(leg, now) {
		g.keep(now)
	}
}

// local is the time in the tenant's zone, whose midnight ends the tap's day.
func (g *Guard) local(doc *conf.Document) time.Time {
	now := g.now()
	if zone, err := time.LoadLocation(doc.Tenant.TimeZone); err == nil {
		return now.In(zone)
	}
	return now.UTC()
}
