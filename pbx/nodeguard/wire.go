package nodeguard

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Socket is where the helper listens, in the abstract name space.
const Socket = "@dipcast-node-guard"

// network keeps messages apart.
const network = "unixpacket"

// maxMessage bounds one message.
const maxMessage = 64 << 10

// Message is what a PBX tells the helper: who it is, or one ban.
type Message struct {
	// Protect are the networks of its trunks; Port is its SIP port.
	Protect []netip.Prefix `json:"protect,omitempty"`
	Port    uint16         `json:"port,omitempty"`
	// Ban shuts a source out for so many seconds.
	Ban     netip.Addr `json:"ban,omitzero"`
	Seconds int        `json:"seconds,omitempty"`
}

// read decodes one message; what it holds may be anything.
func read(b []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("a message of a PBX is not what this helper understands: %w", err)
	}
	if len(m.Protect) > maxProtect {
		return m, fmt.Errorf("a PBX has %d networks to protect: at most %d", len(m.Protect), maxProtect)
	}
	return m, nil
}

// peer returns the user at the other end.
func peer(conn *net.UnixConn) (uid uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var of *syscall.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		of, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err := errors.Join(err, failed); err != nil {
		return 0, fmt.Errorf("who is at the other end: %w", err)
	}
	return of.Uid, nil
}

// writeTimeout is how long one message may take.
const writeTimeout = time.Second
