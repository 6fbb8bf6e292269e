package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/hack/bench/process"
	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
)

// callsAPoller is how many calls one poller of the forwarder has, as in the
// media plane.
const callsAPoller = 500

// forwarder is the least that a relay of our kind can do, in a process of its
// own: the same poller, two sockets a call, each connected to whoever spoke to
// it, and what one receives the other sends. It writes the ports to w, a line a call.
func forwarder(ctx context.Context, calls int, w io.Writer) error {
	start := time.Now()
	var poller *poll.Poller
	for i := range calls {
		if i%callsAPoller == 0 {
			var err error
			if poller, err = poll.New(poll.Config{Clock: func() int64 { return int64(time.Since(start)) }, Size: 2048}); err != nil {
				return err
			}
			defer poller.Close()
		}
		var ends [2]*end
		for i := range ends {
			s, err := poll.Listen(loopback(0))
			if err != nil {
				return err
			}
			ends[i] = &end{socket: s}
		}
		ends[0].other, ends[1].other = ends[1], ends[0]
		for _, e := range ends {
			if err := poller.Add(e.socket, e); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintln(w, ends[0].socket.Local().Port(), ends[1].socket.Local().Port()); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// end is one side of a forwarded call.
type end struct {
	socket *poll.Socket
	other  *end
	known  netip.AddrPort
	peer   atomic.Pointer[poll.Addr]
}

// Read implements poll.Reader.
func (e *end) Read(b []byte, from netip.AddrPort, _ int64) {
	if from != e.known {
		to := poll.AddrOf(from)
		e.known = from
		e.peer.Store(&to)
		e.socket.Connect(&to)
	}
	if to := e.other.peer.Load(); to != nil {
		_ = e.other.socket.Send(b, to) // a lost packet is seen by who counts
	}
}

func loopback(port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
}

// bareForwarder measures the forwarder.
func bareForwarder(ctx context.Context, dir string, calls int, p plan) (relayed, error) {
	self, err := os.Executable()
	if err != nil {
		return relayed{}, err
	}
	r, w := io.Pipe()
	defer func() { _ = r.Close() }()
	proc, err := process.Start(dir, "forwarder", w, self, "-forward", strconv.Itoa(calls))
	if err != nil {
		return relayed{}, err
	}
	defer proc.Stop()
	x, err := newExchange(calls)
	if err != nil {
		return relayed{}, err
	}
	lines := bufio.NewScanner(r)
	for i := range calls {
		var a, b int
		if !lines.Scan() {
			x.close()
			return relayed{}, proc.Failed()
		}
		if _, err := fmt.Sscan(lines.Text(), &a, &b); err != nil {
			x.close()
			return relayed{}, err
		}
		x.aim(2*i, a)
		x.aim(2*i+1, b)
	}
	return x.measure(ctx, proc, p.media)
}

// dipcastRelay measures calls between extensions.
func dipcastRelay(ctx context.Context, t *target, calls int, p plan) (relayed, error) {
	x, err := newExchange(calls)
	if err != nil {
		return relayed{}, err
	}
	x.before = t.Memory("VmRSS")
	hangUpAll, err := talkers(ctx, t, x, calls)
	if err != nil {
		x.close()
		return relayed{}, err
	}
	defer hangUpAll()
	return x.measure(ctx, t.Process, p.media)
}

// talkers sets up calls whose audio runs through x, and returns what ends
// them.
func talkers(ctx context.Context, t *target, x *exchange, calls int) (end func(), err error) {
	phones, err := phonesAt(t, 2*calls)
	if err != nil {
		return nil, err
	}
	for i, p := range phones {
		leg := 2 * (i % calls) // callers first, then callees
		if i >= calls {
			leg++
			p.onInvite = func(m message) bool {
				n, err := audioPort(m.body())
				x.aim(leg, n)
				return err == nil
			}
		}
		p.sdp = session("127.0.0.1", x.port(leg))
	}
	if err := together(phones, func(p *phone) error { return p.register(ctx) }); err != nil {
		hangUp(phones)
		return nil, err
	}
	dialogs := make([]*dialog, calls)
	for i, p := range phones[:calls] {
		d, err := patiently(ctx, t, p, phones[calls+i].user)
		if err == nil {
			var n int
			n, err = audioPort(d.remote.body())
			x.aim(2*i, n)
		}
		if err != nil {
			hangUp(phones)
			return nil, err
		}
		dialogs[i] = d
	}
	return func() {
		for _, d := range dialogs {
			_ = d.bye(ctx) // the calls end with their process at the latest
		}
		hangUp(phones)
	}, nil
}

// pace is the time between two set-ups of calls that are to talk: it is not
// they that are measured.
const pace = 5 * time.Millisecond

// patiently calls again while the PBX has no room for new calls, which may be
// due to whatever else the machine does.
func patiently(ctx context.Context, t *target, p *phone, to string) (*dialog, error) {
	wait := pace
	for tries := 60; ; tries-- {
		if err := t.Wait(ctx, wait); err != nil {
			return nil, err
		}
		d, err := p.invite(ctx, to)
		if !errors.Is(err, errShed) || tries == 0 {
			return d, err
		}
		wait = time.Second
	}
}

// rtpengineRelay measures rtpengine, driven by its own protocol without a
// proxy; errNotInstalled if it is not there.
func rtpengineRelay(ctx context.Context, dir string, calls int, p plan, record bool) (relayed, error) {
	bin, err := exec.LookPath("rtpengine")
	if err != nil {
		return relayed{}, errNotInstalled
	}
	listen, err := freePort()
	if err != nil {
		return relayed{}, err
	}
	args := []string{
		"--table=-1", "--interface=127.0.0.1", "--listen-ng=" + listen.String(),
		"--port-min=20000", "--port-max=29998", "--num-threads=2", "--foreground", "--log-stderr", "--log-level=3",
	}
	if record {
		args = append(args, "--recording-method=pcap", "--recording-dir="+filepath.Join(dir, "pcap"))
		if err := os.MkdirAll(filepath.Join(dir, "pcap", "tmp"), 0o700); err != nil {
			return relayed{}, err
		}
	}
	proc, err := process.Start(dir, "rtpengine", nil, bin, args...)
	if err != nil {
		return relayed{}, err
	}
	defer proc.Stop()
	ng, err := dialNG(listen)
	if err != nil {
		return relayed{}, err
	}
	defer ng.close()
	if err := proc.Until(ctx, func(context.Context) bool { return ng.ping() == nil }); err != nil {
		return relayed{}, err
	}
	x, err := newExchange(calls)
	if err != nil {
		return relayed{}, err
	}
	x.before = proc.Memory("VmRSS")
	for i := range calls {
		a, b, err := ng.call(i, x.port(2*i), x.port(2*i+1), record)
		if err != nil {
			x.close()
			return relayed{}, err
		}
		x.aim(2*i, a)
		x.aim(2*i+1, b)
	}
	return x.measure(ctx, proc, p.media)
}

var (
	errNotInstalled = errors.New("not installed")
	errShed         = errors.New("no room for new calls")
)
