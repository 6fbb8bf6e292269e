package dtls

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	pion "github.com/pion/dtls/v3"
	"github.com/pion/logging"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/srtp"
)

// Limit is how long a handshake may take, Linger how long the peer may ask for
// our last words again.
const (
	Limit  = 15 * time.Second
	Linger = 15 * time.Second
)

// interval is the time before our first repetition; it doubles each time. A
// caller waits, so it is shorter than the second of RFC 6347 §4.2.4.1.
const interval = 200 * time.Millisecond

// ErrFingerprint tells a peer that is not who the signalling said.
var ErrFingerprint = errors.New("the certificate is not the one whose fingerprint SDP told")

// Is reports whether a packet is of DTLS, as far as its beginning tells
// (RFC 7983).
func Is(b []byte) bool { return len(b) > 13 && b[0] >= 20 && b[0] <= 63 }

// Hello returns the random number of the ClientHello that a packet begins with
// (RFC 6347 §4.2.2): the same in all packets by which a client begins one
// handshake. It reports false for any other packet.
func Hello(b []byte) (random [32]byte, ok bool) {
	const record, message, version = 13, 12, 2
	if !Is(b) || len(b) < record+message+version+len(random) || b[0] != 22 || b[3]|b[4] != 0 || b[record] != 1 {
		return random, false
	}
	if at := b[record+6:]; at[0]|at[1]|at[2] != 0 { // not its first fragment
		return random, false
	}
	return [32]byte(b[record+message+version:]), true
}

// Config is what a handshake is made of.
type Config struct {
	Identity *Identity
	Peer     string // the fingerprint of the peer's certificate
	Active   bool   // we begin
	// Proven: the peer has shown that it gets what is sent to its address. It
	// is not asked for a cookie then (RFC 6347 §4.2.1).
	Proven bool
	// Send sends a packet to the peer; it must not keep it nor block.
	Send func(packet []byte)
}

// Handshake is one try of one peer.
type Handshake struct {
	cfg  Config
	pipe *pipe
	conn *pion.Conn
}

// New returns a handshake that waits for Run.
func New(cfg Config) *Handshake { return &Handshake{cfg: cfg, pipe: newPipe(cfg.Send)} }

// Take hands over a packet of the peer. It may be called from any goroutine and
// never blocks.
func (h *Handshake) Take(packet []byte) { h.pipe.put(packet) }

// Run makes the handshake and returns its keys. Errors: ErrFingerprint, the
// peer speaks no suite or no profile of SRTP that we do, what it says makes no
// sense, ctx or Limit is over.
func (h *Handshake) Run(ctx context.Context) (media.Crypto, error) {
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	var err error
	if h.cfg.Active {
		h.conn, err = pion.ClientWithOptions(h.pipe, peer{}, h.client()...)
	} else {
		h.conn, err = pion.ServerWithOptions(h.pipe, peer{}, h.server()...)
	}
	if err != nil {
		return media.Crypto{}, fmt.Errorf("DTLS: %w", err)
	}
	if err = h.conn.HandshakeContext(ctx); err == nil {
		var keys media.Crypto
		if keys, err = h.keys(); err == nil {
			return keys, nil
		}
	}
	h.close()
	return media.Crypto{}, fmt.Errorf("DTLS handshake: %w", err)
}

// Linger repeats what we said last whenever the peer asks, until ctx or its
// time is over (RFC 6347 §4.2.4), and ends the handshake. It follows a Run
// that succeeded.
func (h *Handshake) Linger(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, Linger)
	defer cancel()
	<-ctx.Done()
	h.close()
}

// close ends pion's goroutines without a word: a peer that is told that the
// connection ends would end the stream.
func (h *Handshake) close() {
	h.pipe.mute.Store(true)
	_ = h.conn.Close() // a pipe's end has no error
}

// shared are the options of both sides.
func (h *Handshake) shared() []pion.Option {
	return []pion.Option{
		pion.WithCertificates(h.cfg.Identity.certificate),
		pion.WithSRTPProtectionProfiles(pion.SRTP_AEAD_AES_128_GCM, pion.SRTP_AES128_CM_HMAC_SHA1_80),
		pion.WithInsecureSkipVerify(true), // nobody signs these certificates; their fingerprint is checked
		pion.WithVerifyPeerCertificate(h.verify),
		pion.WithFlightInterval(interval),
		pion.WithLoggerFactory(silent()),
	}
}

func (h *Handshake) client() (o []pion.ClientOption) {
	for _, s := range h.shared() {
		o = append(o, s)
	}
	return o
}

func (h *Handshake) server() (o []pion.ServerOption) {
	for _, s := range h.shared() {
		o = append(o, s)
	}
	return append(o, pion.WithClientAuth(pion.RequireAnyClientCert), pion.WithInsecureSkipVerifyHello(h.cfg.Proven))
}

// silent keeps pion from writing to the output of the process.
func silent() logging.LoggerFactory {
	f := logging.NewDefaultLoggerFactory()
	f.Writer, f.DefaultLogLevel, f.ScopeLevels = io.Discard, logging.LogLevelDisabled, nil
	return f
}

// verify is the check of RFC 5763 §5.
func (h *Handshake) verify(certificates [][]byte, _ [][]*x509.Certificate) error {
	if len(certificates) == 0 || !matches(certificates[0], h.cfg.Peer) {
		return ErrFingerprint
	}
	return nil
}

// keys exports the keys of SRTP.
func (h *Handshake) keys() (media.Crypto, error) {
	var suite string
	switch profile, _ := h.conn.SelectedSRTPProtectionProfile(); profile {
	case pion.SRTP_AEAD_AES_128_GCM:
		suite = srtp.GCM
	case pion.SRTP_AES128_CM_HMAC_SHA1_80:
		suite = srtp.AES80
	default:
		return media.Crypto{}, errors.New("the peer takes no profile of SRTP that we speak")
	}
	state, ok := h.conn.ConnectionState()
	if !ok {
		return media.Crypto{}, errors.New("the keys cannot be exported")
	}
	return srtp.Exported(suite, h.cfg.Active, func(size int) ([]byte, error) {
		return state.ExportKeyingMaterial("EXTRACTOR-dtls_srtp", nil, size)
	})
}
