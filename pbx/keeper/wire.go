package keeper

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// A message is one packet of a SOCK_SEQPACKET pair: the version, a verb, and
// the name that it is about, with its descriptors beside it (SCM_RIGHTS). What
// the kernel has taken arrives, even if the sender is dead by then.
const version = '1'

// verb says what a message asks for.
type verb byte

// The verbs.
const (
	verbKeep    verb = 'k' // both ways: these descriptors belong to the name
	verbDrop    verb = 'd' // child: nothing is to be held under the name
	verbReady   verb = 'r' // child: it serves
	verbRelease verb = 'x' // child: nothing is to be held any more; answered by verbEnd
	verbBegin   verb = 'b' // parent: the name is "RESTARTS CRASHES"
	verbEnd     verb = 'e' // parent: all that is held has been handed over, or closed
)

// errMessage is what is not a message of this protocol.
var errMessage = errors.New("not a message of this keeper")

// message is one packet that was received. Who holds it closes its files.
type message struct {
	verb  verb
	name  string
	files []int
}

func (m *message) close() {
	for _, fd := range m.files {
		_ = syscall.Close(fd) // was never used
	}
	m.files = nil
}

// parse reads the text of a message; name is checked for the verbs that have
// one.
func parse(text []byte) (v verb, name string, err error) {
	if len(text) < 2 || text[0] != version {
		return 0, "", fmt.Errorf("%w: %d bytes that do not begin with version %c", errMessage, len(text), version)
	}
	v, name = verb(text[1]), string(text[2:])
	switch v {
	case verbKeep, verbDrop:
		return v, name, checkName(name)
	case verbReady, verbRelease, verbEnd:
		if name != "" {
			return v, "", fmt.Errorf("%w: verb %q takes no name", errMessage, v)
		}
	case verbBegin:
	default:
		return 0, "", fmt.Errorf("%w: unknown verb %q", errMessage, v)
	}
	return v, name, nil
}

func checkName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("%w: a name of %d bytes: must be 1 to %d", errMessage, len(name), MaxName)
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return fmt.Errorf("%w: name %q: must be printable ASCII without a space", errMessage, name)
		}
	}
	return nil
}

// conn is one end of the pair. One goroutine receives; any may send.
type conn struct {
	fd   int
	text [2 + MaxName + 1]byte // one more shows what is too long
	oob  []byte
}

func newConn(fd int) *conn {
	return &conn{fd: fd, oob: make([]byte, syscall.CmsgSpace(4*MaxFiles))}
}

// errGone says that the other end is closed.
var errGone = errors.New("the other end is gone")

// receive waits for a message. errMessage is for one that was refused, with its
// descriptors closed; the next may be good. Every other error is the last.
func (c *conn) receive() (message, error) {
	n, oobn, flags, err := c.packet()
	if err != nil {
		return message{}, os.NewSyscallError("recvmsg", err)
	}
	m := message{files: rights(c.oob[:oobn])}
	if n == 0 {
		m.close()
		return message{}, errGone
	}
	switch {
	case flags&syscall.MSG_TRUNC != 0:
		err = fmt.Errorf("%w: longer than a name of %d bytes", errMessage, MaxName)
	case flags&syscall.MSG_CTRUNC != 0:
		err = fmt.Errorf("%w: more than %d descriptors, or more than this process may open", errMessage, MaxFiles)
	default:
		m.verb, m.name, err = parse(c.text[:n])
	}
	if err != nil {
		m.close()
		return message{}, err
	}
	return m, nil
}

func (c *conn) packet() (n, oobn, flags int, err error) {
	for {
		n, oobn, flags, _, err = syscall.Recvmsg(c.fd, c.text[:], c.oob, syscall.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, syscall.EINTR) {
			return n, oobn, flags, err
		}
	}
}

// rights returns the descriptors in the control data.
func rights(oob []byte) (files []int) {
	list, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range list {
		// Other control data than descriptors is nothing to us.
		if fds, err := syscall.ParseUnixRights(&list[i]); err == nil {
			files = append(files, fds...)
		}
	}
	return files
}

// send hands a message to the kernel. It waits while the other end is behind.
func send(fd int, v verb, name string, files ...int) error {
	text := append([]byte{version, byte(v)}, name...)
	var oob []byte
	if len(files) > 0 {
		oob = syscall.UnixRights(files...)
	}
	for {
		err := syscall.Sendmsg(fd, text, oob, nil, syscall.MSG_NOSIGNAL)
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("sendmsg", err)
		}
	}
}
