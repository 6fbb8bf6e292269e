package dialplan

import (
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
)

// Guard is the Tap of a tenant for many goroutines, with the tenant's clock.
type Guard struct {
	now func() time.Time
	mu  sync.Mutex
	tap Tap
}

// NewGuard returns a guard that goes by that clock.
func NewGuard(now func() time.Time) *Guard { return &Guard{now: now} }

// Admit counts an attempt, or refuses it.
func (g *Guard) Admit(doc *conf.Document) *Refusal {
	now := g.local(doc)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tap.Admit(doc.Outbound, now)
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
	g.tap.Over(leg, now)
}

// local is the time in the tenant's zone, whose midnight ends the tap's day.
func (g *Guard) local(doc *conf.Document) time.Time {
	now := g.now()
	if zone, err := time.LoadLocation(doc.Tenant.TimeZone); err == nil {
		return now.In(zone)
	}
	return now.UTC()
}
