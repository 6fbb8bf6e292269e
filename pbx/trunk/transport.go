package trunk

import (
	"context"
	"net/netip"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

// Transport talks to the hosts of trunks. Its methods may be called from many
// goroutines at once and must return soon after ctx is done.
type Transport interface {
	// Register sends one REGISTER and answers its challenge. The result is
	// what the host finally said, whatever the status; the error says that it
	// said nothing (no route, no answer, ctx done).
	Register(ctx context.Context, r RegisterRequest) (RegisterResult, error)
	// Options sends one OPTIONS. Any response at all is nil, an error means
	// that none came.
	Options(ctx context.Context, t conf.Trunk, h conf.TrunkHost) error
	// Lookup returns the addresses of a host in order of trial (RFC 3263).
	Lookup(ctx context.Context, h conf.TrunkHost) ([]netip.AddrPort, error)
}

// RegisterRequest asks for one registration (RFC 3261 §10.2).
type RegisterRequest struct {
	Trunk   conf.Trunk
	Host    conf.TrunkHost
	Expires time.Duration // 0 removes the binding
	CallID  string        // the same for all registrations of a trunk's life
	CSeq    uint32        // of the first request; the answer to a challenge takes the next
	// PermitRealm reports whether a challenge with that realm may be answered.
	PermitRealm func(realm string) bool
}

// RegisterResult is a host's final answer to a REGISTER.
type RegisterResult struct {
	Status int    // final SIP status code
	Reason string // its reason phrase
	// Expires is how long a 2xx answer lets the binding live; 0 means that
	// the answer did not say and what was asked for counts.
	Expires    time.Duration
	MinExpires time.Duration // of a 423 (RFC 3261 §10.2.8)
	RetryAfter time.Duration // of any refusal (RFC 3261 §20.33), 0 = none
	CSeq       uint32        // the last CSeq that was used
}
