package rtpio

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media"
)

// Defaults of Config.
const (
	DefaultSilence = 30 * time.Second
	DefaultRest    = 60 * time.Second
)

// Errors of Allocate.
var (
	ErrNoPorts = errors.New("no RTP ports left: enlarge the range of RTP ports or lower the limit of concurrent calls")
	ErrClosed  = errors.New("the media plane is closed")
)

// Config says where a pool listens. Zero fields have the defaults named.
type Config struct {
	// From..To are the ports, both included; each port takes an even one for
	// RTP and the next for RTCP. Both 0: the kernel chooses.
	From, To int
	// Bind lists the addresses to listen on, at most one of each family;
	// empty: every address of the families in Advertise, or of IPv4.
	Bind []netip.Addr
	// Advertise lists the addresses that Local tells, at most one of each
	// family; a family without one tells its bind address.
	Advertise []netip.Addr
	// Silence is how long a peer may send nothing: 0 = 30 s.
	Silence time.Duration
	// Rest is how long a freed port stays unused: 0 = 60 s, negative = not at all.
	Rest time.Duration
	// Now is the clock: nil = time.Now.
	Now func() time.Time
	// Ticks drives the pacer; nil = every 20 ms. Tests drive it by hand.
	Ticks <-chan time.Time
	// Random yields unpredictable numbers for SSRCs, sequence numbers and
	// ports; nil = from crypto/rand.
	Random func() uint64
	Log    *slog.Logger // nil = none
}

// Pool hands out ports. It implements media.Allocator.
type Pool struct{}

var _ media.Allocator = (*Pool)(nil)

// NewPool checks the configuration and starts the pacer. No port is opened
// before it is asked for.
func NewPool(cfg Config) (*Pool, error) {
	return &Pool{}, nil
}

// Allocate implements media.Allocator: it opens a port pair on the family of
// peer. Errors: ErrNoPorts, ErrClosed, no address of that family.
func (p *Pool) Allocate(peer netip.Addr, n media.Notices) (media.Port, error) {
	return nil, ErrNoPorts
}

// InUse returns how many ports (pairs) are open.
func (p *Pool) InUse() int { return 0 }

// Close closes every port and waits for every goroutine of the pool.
func (p *Pool) Close() {}

var _ = pbx.Quality{}
