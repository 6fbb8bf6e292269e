package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/pbxtest"
)

// Baresip is what a baresip (Debian package baresip-core) is to be.
type Baresip struct {
	User, Password string
	Domain         string // of the address of record; empty = Server's host
	Server         string // registrar "host:port"; empty = no registration, direct calls
	Transport      string // "udp" (default), "tcp" or "tls"
	// Authority is a PEM file: the server's certificate must be of it. Needed
	// with "tls".
	Authority  string
	Codec      string // "PCMA" (default), "PCMU", "G722" or "opus"
	Encryption string // "srtp-mand": SRTP with keys in SDP, or no call; "dtls_srtp": by a handshake; empty = none
	ICE        bool   // connectivity checks (RFC 8445)
	Tone       string // WAV file (8 kHz) that is said
	AutoAnswer bool
	// Address is the phone's own; empty = 127.0.0.1. Its control socket stays
	// there.
	Address string
}

// BaresipRun is a baresip that runs, driven over its control socket. A
// goroutine reads the socket until it is closed.
type BaresipRun struct {
	Port int // SIP
	proc *process
	dir  string
	conn net.Conn
	wg   sync.WaitGroup

	mu      sync.Mutex
	events  []string // types, in order
	changed chan struct{}
	replies map[string]chan reply
	next    int
}

type reply struct {
	OK   bool   `json:"ok"`
	Data string `json:"data"`
}

// StartBaresip starts baresip and connects to it; it ends with the test.
func StartBaresip(ctx context.Context, tb testing.TB, b Baresip) *BaresipRun {
	tb.Helper()
	path := need(tb, "baresip", "baresip-core")
	dir := tb.TempDir()
	// baresip listens for TLS on the SIP port + 1 and takes RTP ports in order.
	ports := pbxtest.FreePorts(tb, 3)
	if err := b.write(dir, ports); err != nil {
		tb.Fatal(err)
	}
	p, err := launch(tb, dir, path, "-f", dir)
	if err != nil {
		tb.Fatal(err)
	}
	r := &BaresipRun{Port: ports[0], proc: p, dir: dir, changed: make(chan struct{}), replies: map[string]chan reply{}}
	if err := r.connect(ctx, ports[1]); err != nil {
		p.stop()
		tb.Fatalf("baresip: %v: %s", err, p.out.String())
	}
	tb.Cleanup(r.Stop)
	return r
}

func (b Baresip) write(dir string, ports []int) error {
	rtp := ports[2] &^ 1
	own := orDefault(b.Address, "127.0.0.1")
	lines := []string{
		"poll_method epoll",
		fmt.Sprintf("sip_listen %s:%d", own, ports[0]),
		"audio_path /usr/share/baresip", "audio_player aubridge,sink", "audio_alert aufile,/dev/null",
		"ausrc_srate 8000", "auplay_srate 8000", "ausrc_channels 1", "auplay_channels 1", "audio_buffer 20-160",
		fmt.Sprintf("rtp_ports %d-%d", rtp, rtp+50),
		"jitter_buffer_type fixed", "jitter_buffer_delay 1-5",
		"module_path /usr/lib/baresip/modules",
		"module aubridge.so", "module g711.so", "module g722.so", "module opus.so", "module srtp.so", "module dtls_srtp.so", "module ice.so", "module aufile.so", "module sndfile.so", "module uuid.so",
		"module_app account.so", "module_app menu.so", "module_app ctrl_tcp.so",
		fmt.Sprintf("ctrl_tcp_listen 127.0.0.1:%d", ports[1]),
		"snd_path " + dir, "net_interface " + own,
		"audio_source aufile," + b.Tone,
	}
	if b.Authority != "" {
		lines = append(lines, "sip_verify_server yes", "sip_cafile "+b.Authority)
	}
	if b.ICE {
		lines = append(lines, "rtcp_mux yes")
	}
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	host, transport, law, interval, extra := own, b.Transport, b.Codec, 0, ""
	if b.Server != "" {
		host, interval = b.Server, 300
	}
	if b.Domain != "" {
		host = b.Domain
		extra += fmt.Sprintf(`;outbound="sip:%s;transport=%s"`, b.Server, orDefault(transport, "udp"))
	}
	if b.Encryption != "" {
		extra += ";mediaenc=" + b.Encryption
	}
	if b.ICE {
		extra += ";medianat=ice"
	}
	if b.AutoAnswer {
		extra += ";answermode=auto"
	}
	account := fmt.Sprintf("<sip:%s@%s;transport=%s>;auth_user=%s;auth_pass=%s;regint=%d;audio_codecs=%s%s\n",
		b.User, host, orDefault(transport, "udp"), b.User, b.Password, interval, rated(orDefault(law, "PCMA")), extra)
	return os.WriteFile(filepath.Join(dir, "accounts"), []byte(account), 0o600)
}

// rated is a codec as baresip names it, with its rate and channels.
func rated(codec string) string {
	switch codec {
	case "G722":
		return "G722/16000/1"
	case "opus":
		return "opus/48000/2"
	}
	return codec + "/8000/1"
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// connect tries until baresip listens.
func (r *BaresipRun) connect(ctx context.Context, port int) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			r.conn = conn
			r.wg.Go(r.read)
			return nil
		}
		select {
		case <-r.proc.exited:
			return errors.New("ended at once")
		case <-ctx.Done():
			return fmt.Errorf("does not listen: %w", context.Cause(ctx))
		case <-again.C:
		}
	}
}

// read takes netstrings of JSON: events and replies.
func (r *BaresipRun) read() {
	in := bufio.NewReader(r.conn)
	for {
		text, err := in.ReadString(':')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(text, ":"))
		if err != nil || n < 0 || n > 1<<20 {
			return
		}
		body := make([]byte, n+1) // and the comma
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		var m struct {
			Event bool   `json:"event"`
			Type  string `json:"type"`
			Token string `json:"token"`
			reply
		}
		if json.Unmarshal(body[:n], &m) == nil {
			r.take(m.Event, m.Type, m.Token, m.reply)
		}
	}
}

func (r *BaresipRun) take(event bool, kind, token string, answer reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.replies[token]; ok && !event {
		c <- answer
		delete(r.replies, token)
		return
	}
	r.events = append(r.events, kind)
	close(r.changed)
	r.changed = make(chan struct{})
}

// Command runs one of baresip's commands ("dial", "hangup", "hold", "resume",
// "accept", "reginfo") and returns what it prints.
func (r *BaresipRun) Command(ctx context.Context, name, params string) (string, error) {
	r.mu.Lock()
	r.next++
	token := "t" + strconv.Itoa(r.next)
	answer := make(chan reply, 1)
	r.replies[token] = answer
	r.mu.Unlock()
	b, err := json.Marshal(map[string]string{"command": name, "params": params, "token": token})
	if err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(r.conn, "%d:%s,", len(b), b); err != nil {
		return "", fmt.Errorf("baresip %s: %w", name, err)
	}
	select {
	case a := <-answer:
		if !a.OK {
			return a.Data, fmt.Errorf("baresip %s %s: %s", name, params, a.Data)
		}
		return a.Data, nil
	case <-r.proc.exited:
		return "", fmt.Errorf("baresip %s: baresip ended: %s", name, r.proc.out.String())
	case <-ctx.Done():
		return "", fmt.Errorf("baresip %s: %w", name, context.Cause(ctx))
	}
}

// Events of baresip for WaitEvent.
const (
	CallIncoming = "CALL_INCOMING"
	CallRinging  = "CALL_RINGING"
	Established  = "CALL_ESTABLISHED"
	Closed       = "CALL_CLOSED"
)

// WaitEvent returns when baresip has told one of the events, since the last
// WaitEvent that found something.
func (r *BaresipRun) WaitEvent(ctx context.Context, kinds ...string) (string, error) {
	for {
		r.mu.Lock()
		i := slices.IndexFunc(r.events, func(e string) bool { return slices.Contains(kinds, e) })
		if i >= 0 {
			found := r.events[i]
			r.events = r.events[i+1:]
			r.mu.Unlock()
			return found, nil
		}
		seen, changed := slices.Clone(r.events), r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-r.proc.exited:
			return "", fmt.Errorf("baresip ended: %s", r.proc.out.String())
		case <-ctx.Done():
			return "", fmt.Errorf("baresip told none of %v but %v: %w: %s", kinds, seen, context.Cause(ctx), r.proc.out.String())
		}
	}
}

// WaitRegistered returns when baresip's REGISTER was answered with 200, which
// may be before its control socket was there to tell.
func (r *BaresipRun) WaitRegistered(ctx context.Context) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if out := r.proc.out.String(); strings.Contains(out, "200 OK") && strings.Contains(out, " binding") {
			return nil
		}
		select {
		case <-again.C:
		case <-r.proc.exited:
			return fmt.Errorf("baresip ended: %s", r.proc.out.String())
		case <-ctx.Done():
			return fmt.Errorf("baresip is not registered: %w: %s", context.Cause(ctx), r.proc.out.String())
		}
	}
}

// Stop ends baresip, which closes its recordings, and waits.
func (r *BaresipRun) Stop() {
	_ = r.conn.Close()
	r.proc.stop()
	r.wg.Wait()
}

// Heard returns the WAV files of what was heard, oldest first. baresip begins
// a new one after each hold, overwrites one that is less than a second old, and
// completes the last one when the call is closed or by Stop.
func (r *BaresipRun) Heard() ([]string, error) {
	found, err := filepath.Glob(filepath.Join(r.dir, "dump-*-dec.wav"))
	slices.Sort(found)
	return found, err
}
