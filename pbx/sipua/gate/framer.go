package gate

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx/sipua/gate/websocket"
)

// cutter cuts what comes over a connection into messages.
type cutter interface {
	// next returns the next message, valid until the next call; begun is called
	// when its first byte has come.
	next(begun func() error) ([]byte, error)
	// patience is how long nothing need come.
	patience(l *StreamLimits) time.Duration
}

func newCutter(st *stream) cutter {
	l := st.gate.streams.limits
	if st.way.webSocket() {
		return &webFrames{r: websocket.NewReader(st.conn, l.Header+l.Body)}
	}
	return newFramer(st.conn, l)
}

// webFrames are the messages of a WebSocket.
type webFrames struct{ r *websocket.Reader }

func (f *webFrames) patience(l *StreamLimits) time.Duration { return l.Quiet }

// next implements cutter. errAsked and errBye come with what the answer must
// repeat.
func (f *webFrames) next(begun func() error) ([]byte, error) {
	for {
		kind, content, err := f.r.Next(begun)
		switch {
		case err != nil:
			return nil, err
		case kind == websocket.Message && string(content) == "\r\n\r\n":
			return nil, errPing
		case kind == websocket.Message:
			return content, nil
		case kind == websocket.Close:
			return content, errBye
		case f.r.Partial():
			// Between the fragments of a message: it must not win time.
		case kind == websocket.Ping:
			return content, errAsked
		default:
			return nil, errAlive
		}
	}
}

// framer cuts a stream into messages (RFC 3261 §18.3).
type framer struct {
	r      *bufio.Reader
	limits StreamLimits
	buf    []byte
}

var (
	errPing  = errors.New("keep-alive") // in CRLFs
	errAsked = errors.New("a peer asks whether we live")
	errAlive = errors.New("the peer lives")
	errBye   = errors.New("the peer closes its WebSocket")
	errFrame = errors.New("the stream cannot be cut into messages")
)

func (f *framer) patience(l *StreamLimits) time.Duration { return l.Idle }

func newFramer(r io.Reader, l StreamLimits) *framer {
	return &framer{r: bufio.NewReaderSize(r, 4096), limits: l}
}

// next returns the next message, valid until the next call; begun is called
// when its first byte has come. errPing stands for a double CRLF. With
// errFrame comes what was read of a message that cannot be delimited.
func (f *framer) next(begun func() error) ([]byte, error) {
	if cap(f.buf) > 1<<14 {
		f.buf = nil // one large message must not hold memory for ever
	}
	f.buf = f.buf[:0]
	empty, partial := 0, false
	for {
		line, err := f.r.ReadSlice('\n')
		if len(f.buf) == 0 && len(line) > 0 {
			if err := begun(); err != nil {
				return nil, err
			}
		}
		if len(f.buf) == 0 && string(line) == "\r\n" {
			if empty++; empty == 2 {
				return nil, errPing
			}
			continue
		}
		f.buf = append(f.buf, line...)
		if len(f.buf) > f.limits.Header {
			return f.buf, errFrame
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if string(line) == "\r\n" && !partial {
			break
		}
		partial = err != nil // the buffer was full, the line goes on
	}
	n, ok := bodyLength(f.buf)
	if !ok || n > f.limits.Body {
		return f.buf, errFrame
	}
	return f.body(n)
}

// body appends the n bytes of a body as they come: memory is used for what was
// sent, not for what a length promises.
func (f *framer) body(n int) ([]byte, error) {
	for n > 0 {
		piece := min(n, bodyPiece)
		from := len(f.buf)
		f.buf = append(f.buf, make([]byte, piece)...)
		if _, err := io.ReadFull(f.r, f.buf[from:]); err != nil {
			return nil, err
		}
		n -= piece
	}
	return f.buf, nil
}

// bodyPiece is how much room for a body is made at once.
const bodyPiece = 4096

// bodyLength reads Content-Length, which every message on a stream must have
// once; a message without it has no body as far as can be known.
func bodyLength(head []byte) (int, bool) {
	m := &Message{text: string(head)}
	_, rest, _ := strings.Cut(m.text, "\r\n")
	m.scanHeaders(rest)
	values := m.Values("content-length")
	switch len(values) {
	case 0:
		return 0, true
	case 1:
		return parseLength(values[0])
	}
	return 0, false
}
