package sipua

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/trunk"
)

// Config is what an Agent needs from outside.
type Config struct {
	// Document is the tenant's document to begin with.
	Document *conf.Document
	// Advertise are our addresses as others must see them, IPv4 and/or IPv6.
	Advertise []netip.Addr
	// Bind are the addresses to listen on, UDP and TCP; empty means every
	// address of both families.
	Bind []netip.Addr
	// Port is the SIP port; 0 asks the kernel for a free one.
	Port int
	// Media makes the ports of legs.
	Media media.Allocator
	// Receiver takes incoming calls; SetReceiver may hand it in later.
	Receiver leg.Receiver
	// Store keeps registrations; nil keeps them in memory alone.
	Store pbx.ContactStore
	// OnTrunk is told each change of a trunk's status; may be nil.
	OnTrunk func(trunk.Status)
	Log     *slog.Logger     // nil = silent
	Now     func() time.Time // nil = time.Now
	Rand    io.Reader        // nil = crypto/rand
}

// Agent is the SIP side of one tenant.
type Agent struct{ legs *legs }

// New checks the configuration and opens the sockets; Run serves them.
func New(cfg Config) (*Agent, error) { return &Agent{}, nil }

// SetReceiver hands in the receiver of incoming calls; until then INVITEs are
// answered with 503.
func (a *Agent) SetReceiver(r leg.Receiver) {}

// Run serves until ctx is done and returns when every goroutine has ended.
func (a *Agent) Run(ctx context.Context) error { return nil }

// SIPAddr returns the address that "UDP" or "TCP" listens on.
func (a *Agent) SIPAddr(transport string) netip.AddrPort { return netip.AddrPort{} }

// Apply puts a new document in force; calls keep the one they began with.
func (a *Agent) Apply(doc *conf.Document) error { return nil }

// Drain makes new INVITEs be answered with 503 and Retry-After.
func (a *Agent) Drain() {}

// Trunks returns the tenant's trunks.
func (a *Agent) Trunks() *trunk.Set { return nil }

// Dial implements leg.Dialer.
func (a *Agent) Dial(d leg.Dial, l leg.Listener) leg.Leg { return a.legs.dial(d, l) }

// Contacts implements leg.Dialer.
func (a *Agent) Contacts(extension string) []pbx.Contact { return nil }

// TrunkUp implements leg.Dialer.
func (a *Agent) TrunkUp(name string) bool { return false }

var _ leg.Dialer = (*Agent)(nil)

// onInvite takes an INVITE without a To tag that passed admission.
func (a *Agent) onInvite(req *sip.Request, tx sip.ServerTransaction, id identity) {
	a.legs.invite(req, tx, id)
}
