package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// ng speaks rtpengine's control protocol: a cookie and a bencoded dictionary
// in one datagram each way.
type ng struct {
	conn   *net.UDPConn
	serial int
}

func dialNG(to netip.AddrPort) (*ng, error) {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	return &ng{conn: conn}, err
}

func (g *ng) close() { _ = g.conn.Close() }

func (g *ng) ping() error {
	_, err := g.ask("command", "ping")
	return err
}

// call sets up a call between two legs at those ports and returns the ports
// that the caller and the callee must send to. It may be recorded.
func (g *ng) call(i, caller, callee int, record bool) (a, b int, err error) {
	id := "bench-" + strconv.Itoa(i)
	offer, err := g.ask("command", "offer", "call-id", id, "from-tag", "a", "sdp", session("127.0.0.1", caller))
	if err != nil {
		return 0, 0, err
	}
	answer, err := g.ask("command", "answer", "call-id", id, "from-tag", "a", "to-tag", "b", "sdp", session("127.0.0.1", callee))
	if err != nil {
		return 0, 0, err
	}
	if record {
		if _, err := g.ask("command", "start recording", "call-id", id); err != nil {
			return 0, 0, err
		}
	}
	// The callee sees the offer and sends to its port; the caller the answer.
	if b, err = audioPort(offer); err != nil {
		return 0, 0, err
	}
	a, err = audioPort(answer)
	return a, b, err
}

// ask sends a dictionary of strings and returns the answer's text, the SDP in
// which needs no further decoding.
func (g *ng) ask(pairs ...string) (string, error) {
	g.serial++
	cookie := strconv.Itoa(g.serial) + " "
	var b strings.Builder
	b.WriteString(cookie + "d")
	for _, s := range pairs {
		fmt.Fprintf(&b, "%d:%s", len(s), s)
	}
	b.WriteString("e")
	if _, err := g.conn.Write([]byte(b.String())); err != nil {
		return "", err
	}
	if err := g.conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := g.conn.Read(buf)
		if err != nil {
			return "", err
		}
		text, ours := strings.CutPrefix(string(buf[:n]), cookie)
		switch {
		case !ours:
		case strings.Contains(text, "6:result5:error"):
			return "", errors.New("rtpengine: " + text)
		default:
			return text, nil
		}
	}
}
