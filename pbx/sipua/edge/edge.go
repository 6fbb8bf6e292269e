package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/keeper"
	"github.com/dipcast/dipcast/pbx/registrar"
	"github.com/dipcast/dipcast/pbx/sipua/digest"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
)

// Identity is who sent a request that begins a dialog.
type Identity struct {
	Extension string // proven by digest
	Trunk     string // proven by address
	Source    netip.AddrPort
	Transport string // "UDP", "TCP", "TLS", "WSS"
	// Instance names the phone among those of its extension (RFC 5626 §4.1);
	// empty if it does not say, or if it has no connection that could end.
	Instance string
}

// Hop is the next place a request goes to.
type Hop struct {
	Transport string // "UDP", "TCP", "TLS", "WSS"
	Addr      netip.AddrPort
	// Name is whom the certificate of a trunk's host must be for; empty for
	// phones, to which we open no TLS connection.
	Name string `json:"Name,omitempty"`
}

// Stream reports whether the hop is reached over a connection.
func (h Hop) Stream() bool { return h.Transport != "UDP" }

// Config is what an Edge needs from outside.
type Config struct {
	Document  func() *conf.Document
	Registrar *registrar.Registrar
	// Trunk returns the trunk that an address belongs to.
	Trunk func(netip.Addr) (name string, ok bool)
	// Unseen reports whether it will know more addresses in a moment.
	Unseen func() bool
	// Owner returns the peer of the live dialog that our tag names: who it
	// is, and where its requests come from.
	Owner func(callID, localTag string) (Identity, bool)
	// Acknowledge sends the ACK for a 2xx to a re-INVITE that an earlier process
	// has sent in a live dialog.
	Acknowledge func(callID, localTag, remoteTag string, seq uint32)
	// Talks reports whether the peer of a live dialog is at an address that
	// matches.
	Talks func(match func(netip.Addr) bool) bool
	// Invite takes an INVITE that begins a dialog, InDialog every request
	// inside one; tx is nil for an ACK. Both are called from where the socket
	// is read and must not block.
	Invite   func(req *sip.Request, tx *txn.Server, id Identity)
	InDialog func(req *sip.Request, tx *txn.Server)
	// Advertise are our addresses as others must see them.
	Advertise []netip.Addr
	Resolver  Resolver
	Keeper    keeper.Keeper // of the sockets; nil = None
	Gate      gate.Config   // limits alone; the rest is filled in
	// Transactions bounds live server transactions, a quarter of them kept
	// for trunks, emergency calls and live dialogs, and of that the last
	// quarter for emergency calls of phones alone; 0 = 10000.
	Transactions int
	// UserRate and UserBurst limit what one extension begins, calls and
	// registrations, per second and at once; 0 = 50 and 500, as much as one
	// source may send that has proven nothing.
	UserRate, UserBurst float64
	// Ledger is told what rings; nil: nobody asks.
	Ledger Ledger
	// Banned is told each source that is shut out as a whole, and for how
	// long; it must not block. May be nil.
	Banned func(netip.Addr, time.Duration)
	Now    func() time.Time
	Rand   io.Reader
	Log    *slog.Logger
}

// Edge is the SIP edge of one tenant.
type Edge struct {
	cfg      Config
	gate     *gate.Gate
	txns     *txn.Layer
	auth     *digest.Authority
	quota    *gate.Quota // of requests inside each dialog
	users    *gate.Quota // of what each extension begins
	helps    *gate.Quota // of logins for help that would not be looked at otherwise
	shedded  Shed
	storm    storm
	load     atomic.Int32 // a load.Level
	branches maphash.Seed
	earlier  sync.Map    // branches of INVITEs that an earlier process has sent
	draining atomic.Bool // only emergency calls may begin
	ending   atomic.Bool // no call may begin
	leaving  atomic.Bool // another process takes over: calls wait for it
	closing  atomic.Bool
	index    atomic.Pointer[index]
	sockets  []socket
	secure   secure
}

// index is the document as admission looks things up in it.
type index struct {
	doc        *conf.Document
	extensions map[string]*conf.Extension
	emergency  map[string]bool
	// certificate is ours; nil without one. roots are whom we trust to name
	// trunks; nil = the system's.
	certificate *tls.Certificate
	roots       *x509.CertPool
}

// nonceLife is how long a nonce is good; nonces is how many used ones are
// remembered.
const (
	nonceLife = 5 * time.Minute
	nonces    = 1 << 16
)

// dialogRate and dialogBurst limit what a phone may ask inside one dialog, per
// second and at once: no person presses keys faster.
const (
	dialogRate  = 10
	dialogBurst = 100
)

// New returns an edge without sockets.
func New(cfg Config) (*Edge, error) {
	if cfg.Transactions == 0 {
		cfg.Transactions = 10000
	}
	if cfg.UserRate == 0 {
		cfg.UserRate = 50
	}
	if cfg.UserBurst == 0 {
		cfg.UserBurst = 500
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.Keeper == nil {
		cfg.Keeper = keeper.None{}
	}
	auth, err := digest.NewAuthority(cfg.Rand, nonceLife, nonces)
	if err != nil {
		return nil, err
	}
	e := &Edge{
		cfg: cfg, auth: auth, branches: maphash.MakeSeed(), quota: gate.NewQuota(dialogRate, dialogBurst),
		users: gate.NewQuota(cfg.UserRate, cfg.UserBurst), helps: gate.NewQuota(helpRate, helpBurst),
		txns: txn.New(txn.Places{All: cfg.Transactions, Important: cfg.Transactions / 4, Help: cfg.Transactions / 16}, cfg.Now),
	}
	g := cfg.Gate
	g.Handler, g.Ours, g.Now, g.Log = e, e.ours, cfg.Now, cfg.Log
	g.Home = e.home
	g.Trusted = func(a netip.Addr) bool { _, ok := cfg.Trunk(a); return ok }
	g.Methods = strings.Split(allow, ", ")
	g.Extensions = []string{"100rel", "timer", "path", "outbound"}
	e.gate = gate.New(g)
	e.newSecure()
	return e, nil
}

// Counters returns what the gate counted.
func (e *Edge) Counters() *gate.Counters { return &e.gate.Counters }

// Shed returns what was refused for overload.
func (e *Edge) Shed() *Shed { return &e.shedded }

// Full is the used share of the places for transactions.
func (e *Edge) Full() float64 {
	server, _ := e.txns.Len()
	return float64(server) / float64(e.cfg.Transactions)
}

// Transactions returns how many server and client transactions are live.
func (e *Edge) Transactions() (server, client int) { return e.txns.Len() }

// Drain makes requests that would begin a call be answered with 503, except to
// emergency numbers, until Resume.
func (e *Edge) Drain() { e.draining.Store(true) }

// Resume lets calls begin again.
func (e *Edge) Resume() { e.draining.Store(false) }

// End makes every request that would begin a call be answered with 503.
func (e *Edge) End() {
	e.ending.Store(true)
	e.draining.Store(true)
}

// Leave makes requests that would begin a call wait for the next process: over
// UDP nobody answers them, and the sender tries again within a second. A
// connection ends with this process, so that over one they are refused.
func (e *Edge) Leave() {
	e.leaving.Store(true)
	e.ending.Store(true)
}

// Close closes the sockets, ends every transaction and waits for all
// goroutines.
func (e *Edge) Close() {
	e.closing.Store(true)
	e.gate.Close()
	e.secure.close()
	for i := range e.sockets {
		e.sockets[i].close() // also those that were never served
	}
	e.txns.Close()
	e.gate.Wait()
}

// emergencyCall reports whether a request is for an emergency number.
func (i *index) emergencyCall(m *gate.Message) bool {
	uri, ok := gate.ParseURI(m.URI)
	return ok && i.emergency[uri.User]
}

// look returns the index of the document in force.
func (e *Edge) look() *index {
	doc := e.cfg.Document()
	if i := e.index.Load(); i != nil && i.doc == doc {
		return i
	}
	i := &index{doc: doc, extensions: make(map[string]*conf.Extension), emergency: make(map[string]bool)}
	for n := range doc.Extensions {
		i.extensions[doc.Extensions[n].Number] = &doc.Extensions[n]
	}
	for _, number := range doc.Numbering.Emergency {
		i.emergency[number] = true
		i.emergency[doc.Numbering.OutsidePrefix+number] = true
	}
	i.trust(doc, e.cfg.Log)
	e.index.Store(i)
	return i
}

// token returns 128 random bits in hexadecimal digits.
func (e *Edge) token() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(e.cfg.Rand, b[:]); err != nil {
		return "", fmt.Errorf("random token: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// Token returns 128 fresh random bits as text, for tags and Call-IDs. It panics
// if the source of randomness fails, as crypto/rand does.
func (e *Edge) Token() string {
	t, err := e.token()
	if err != nil {
		panic(err)
	}
	return t
}

// Pick returns a random number in [0, n).
func (e *Edge) Pick(n int) int {
	var b [8]byte
	if _, err := io.ReadFull(e.cfg.Rand, b[:]); err != nil || n <= 0 {
		return 0
	}
	return int(binary.BigEndian.Uint64(b[:]) % uint64(n))
}

// branch returns a fresh branch that ours recognises: a response with another
// one, or a request that went through us before, is seen at once.
func (e *Edge) branch() (string, error) {
	raw := make([]byte, 16)
	if _, err := io.ReadFull(e.cfg.Rand, raw); err != nil {
		return "", fmt.Errorf("random branch: %w", err)
	}
	const cookie = sip.RFC3261BranchMagicCookie
	b := make([]byte, 0, len(cookie)+2*len(raw)+sealSize)
	b = hex.AppendEncode(append(b, cookie...), raw)
	seal := sealOf(maphash.Bytes(e.branches, b[len(cookie):]))
	return string(append(b, seal[:]...)), nil
}

const sealSize = 16

// sealOf writes a hash as that many hexadecimal digits.
func sealOf(hash uint64) (out [sealSize]byte) {
	var raw [sealSize / 2]byte
	binary.BigEndian.PutUint64(raw[:], hash)
	hex.Encode(out[:], raw[:])
	return out
}

func (e *Edge) ours(branch string) bool {
	rest, ok := strings.CutPrefix(branch, sip.RFC3261BranchMagicCookie)
	if !ok || len(rest) <= sealSize {
		return false
	}
	n := len(rest) - sealSize
	if seal := sealOf(maphash.String(e.branches, rest[:n])); rest[n:] == string(seal[:]) {
		return true
	}
	_, ok = e.earlier.Load(branch)
	return ok
}

// Ban is one look at the ban list, for tests and the console.
func (e *Edge) Ban(source netip.Addr, user string) bool {
	return e.gate.Bans().User(gate.Network(source), user, e.cfg.Now())
}

// context returns a context for work that nobody waits for.
func (e *Edge) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), streamTimeout)
}
