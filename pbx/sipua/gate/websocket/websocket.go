package websocket

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Protocol is the sub-protocol that both sides must name (RFC 7118 §4).
const Protocol = "sip"

// maxHandshake bounds the bytes of a client's opening handshake: browsers send
// cookies along.
const maxHandshake = 16 << 10

// Accept answers the opening handshake of a client (RFC 6455 §4.2), or refuses
// it with an HTTP status: without the sub-protocol sip, or if allowed is false
// for its origin. Who sends no Origin is no browser and is not asked for one.
// How long it may take is the affair of the caller.
func Accept(conn io.ReadWriter, allowed func(origin string) bool) error {
	named := false
	u := ws.Upgrader{
		Protocol: func(p []byte) bool {
			ok := string(p) == Protocol
			named = named || ok
			return ok
		},
		OnHeader: func(key, value []byte) error {
			if string(key) == "Origin" && !allowed(string(value)) {
				return refusal(http.StatusForbidden, "pages of this origin may not connect")
			}
			return nil
		},
		OnBeforeUpgrade: func() (ws.HandshakeHeader, error) {
			if !named {
				return nil, refusal(http.StatusBadRequest, "the sub-protocol must be "+Protocol)
			}
			return nil, nil //nolint:nilnil // no further headers, and no reason to refuse
		},
	}
	limited := struct {
		io.Reader
		io.Writer
	}{io.LimitReader(conn, maxHandshake), conn}
	if _, err := u.Upgrade(limited); err != nil {
		return fmt.Errorf("WebSocket handshake: %w", err)
	}
	return nil
}

func refusal(status int, reason string) error {
	return ws.RejectConnectionError(ws.RejectionStatus(status), ws.RejectionReason(reason))
}

// Kind is what a peer sent.
type Kind int

// The kinds of what a peer sends.
const (
	Message Kind = iota
	Ping         // to be answered with a pong of the same content
	Pong
	Close // to be answered in kind, then nothing follows
)

// Errors of a Reader.
var (
	// ErrQuiet says that the read deadline passed and nothing had begun.
	ErrQuiet = errors.New("nothing came over the WebSocket")
	errLarge = errors.New("a WebSocket message is too large")
)

// maxFragments bounds the frames of one message: a frame may be empty.
const maxFragments = 64

// Reader reads what a client sends. It is owned by one goroutine.
type Reader struct {
	r         *bufio.Reader
	limit     int
	buf       []byte
	fragments int // of the message that has begun; 0: none has
}

// NewReader returns a Reader of messages of up to limit bytes.
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 4096), limit: limit}
}

// Partial reports whether a message has begun and its end has not come.
func (r *Reader) Partial() bool { return r.fragments > 0 }

// Next returns the next message, valid until the next call, or the content of
// a control frame, which may stand between the fragments of a message. begun is
// called when the first byte of anything but that has come. An error is the end
// of the connection, but for ErrQuiet.
func (r *Reader) Next(begun func() error) (Kind, []byte, error) {
	if !r.Partial() {
		if cap(r.buf) > 1<<14 {
			r.buf = nil // one large message must not hold memory for ever
		}
		r.buf = r.buf[:0]
		if _, err := r.r.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, nil, ErrQuiet
		} else if err != nil {
			return 0, nil, err
		}
		if err := begun(); err != nil {
			return 0, nil, err
		}
	}
	for {
		h, err := ws.ReadHeader(r.r)
		if err == nil {
			err = ws.CheckHeader(h, r.state())
		}
		if err != nil {
			return 0, nil, err
		}
		if h.OpCode.IsControl() {
			return r.control(h)
		}
		if err := r.data(h); err != nil {
			return 0, nil, err
		}
		if h.Fin {
			r.fragments = 0
			return Message, r.buf, nil
		}
	}
}

func (r *Reader) state() ws.State {
	s := ws.StateServerSide
	if r.Partial() {
		s = s.Set(ws.StateFragmented)
	}
	return s
}

// data takes the content of a frame as it comes: memory is used for what was
// sent, not for what a length promises.
func (r *Reader) data(h ws.Header) error {
	if r.fragments++; r.fragments > maxFragments || h.Length > int64(r.limit-len(r.buf)) {
		return errLarge
	}
	from := len(r.buf)
	for left := int(h.Length); left > 0; {
		if r.r.Buffered() == 0 {
			if _, err := r.r.Peek(1); err != nil {
				return err
			}
		}
		piece, err := r.r.Peek(min(left, r.r.Buffered()))
		if err != nil {
			return err
		}
		r.buf = append(r.buf, piece...)
		left -= len(piece)
		if _, err := r.r.Discard(len(piece)); err != nil {
			return err
		}
	}
	ws.Cipher(r.buf[from:], h.Mask, 0)
	return nil
}

// control reads a control frame, of at most 125 bytes.
func (r *Reader) control(h ws.Header) (Kind, []byte, error) {
	b := make([]byte, h.Length)
	if _, err := io.ReadFull(r.r, b); err != nil {
		return 0, nil, err
	}
	ws.Cipher(b, h.Mask, 0)
	switch h.OpCode {
	case ws.OpPing:
		return Ping, b, nil
	case ws.OpPong:
		return Pong, b, nil
	default:
		return Close, b, nil
	}
}

// Append appends a frame of that kind with the content, which is a whole SIP
// message or at most 125 bytes.
func Append(b []byte, kind Kind, content []byte) []byte {
	op := ws.OpClose
	switch kind {
	case Message:
		op = ws.OpText
		if !utf8.Valid(content) {
			op = ws.OpBinary // RFC 6455 §5.6: text is UTF-8
		}
	case Ping:
		op = ws.OpPing
	case Pong:
		op = ws.OpPong
	case Close:
	}
	out := frame(b)
	// A header of these values cannot be wrong, and the slice takes all of it.
	_ = ws.WriteHeader(&out, ws.Header{Fin: true, OpCode: op, Length: int64(len(content))})
	return append(out, content...)
}

// frame is a slice that is written to.
type frame []byte

// Write implements io.Writer.
func (f *frame) Write(p []byte) (int, error) {
	*f = append(*f, p...)
	return len(p), nil
}
