package main

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/dipcast/dipcast/hack/bench/process"
)

// A packet of 20 ms of G.711: 12 bytes of RTP header and 160 of audio, which
// begin with who sent it (4 bytes) and when (8 bytes, Unix nanoseconds).
const (
	packetTime   = 20 * time.Millisecond
	packetSize   = 172
	headerSize   = 12
	tick         = time.Millisecond
	legsASocket  = 25 // bounds what one socket's buffer must hold when the machine stalls
	batch        = 32
	settle       = 300 * time.Millisecond // for packets under way at the end
	timestampLen = 64
)

// stream is what one leg sends.
type stream struct {
	to       netip.AddrPort // the relay's port for it; under exchange.mu
	buf      []byte
	seq      uint16
	sent     uint32 // since everything was warm
	received uint32 // of those, written by the reader alone
}

// exchange sends and receives the audio of many calls with few goroutines: one
// that sends, and one for each socket that reads.
type exchange struct {
	socks   []*net.UDPConn
	streams []*stream // two a call: caller, callee
	readers sync.WaitGroup

	mu     sync.Mutex
	delays []int64 // nanoseconds
	warm   time.Time
}

// newExchange opens the sockets for n calls.
func newExchange(n int) (*exchange, error) {
	x := &exchange{streams: make([]*stream, 2*n)}
	for range (2*n + legsASocket - 1) / legsASocket {
		c, err := mediaSocket()
		if err != nil {
			x.close()
			return nil, err
		}
		x.socks = append(x.socks, c)
	}
	for i := range x.streams {
		s := &stream{buf: make([]byte, packetSize)}
		s.buf[0], s.buf[1] = 0x80, 8
		binary.BigEndian.PutUint32(s.buf[8:], uint32(0x10000+i))
		binary.BigEndian.PutUint32(s.buf[headerSize:], uint32(i))
		x.streams[i] = s
	}
	return x, nil
}

// mediaSocket opens a socket on an even port, whose packets come with the
// kernel's time of arrival.
func mediaSocket() (*net.UDPConn, error) {
	for {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback(0)))
		if err != nil {
			return nil, err
		}
		addr, ok := c.LocalAddr().(*net.UDPAddr)
		if !ok || addr.Port%2 != 0 {
			_ = c.Close()
			continue
		}
		raw, err := c.SyscallConn()
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		var failed error
		err = raw.Control(func(fd uintptr) {
			failed = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20))
		})
		if err = errors.Join(err, failed); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		return c, nil
	}
}

func (x *exchange) socket(leg int) *net.UDPConn { return x.socks[leg/legsASocket] }

// port of the leg, for its SDP.
func (x *exchange) port(leg int) int {
	return x.socket(leg).LocalAddr().(*net.UDPAddr).Port //nolint:errcheck,forcetypeassert // of a UDP socket
}

// aim tells where the leg's audio goes: to that port of the relay.
func (x *exchange) aim(leg, port int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.streams[leg].to = loopback(port)
}

// listen starts the readers; close ends them.
func (x *exchange) listen() {
	for _, c := range x.socks {
		x.readers.Go(func() { x.read(c) })
	}
}

func (x *exchange) close() {
	for _, c := range x.socks {
		_ = c.Close()
	}
	x.readers.Wait()
}

func (x *exchange) read(c *net.UDPConn) {
	conn := ipv4.NewPacketConn(c)
	in := make([]ipv4.Message, batch)
	for i := range in {
		in[i].Buffers, in[i].OOB = [][]byte{make([]byte, 2048)}, make([]byte, timestampLen)
	}
	var delays []int64
	defer func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.delays = append(x.delays, delays...)
	}()
	for {
		n, err := conn.ReadBatch(in, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		for i := range max(0, n) {
			b := in[i].Buffers[0][:in[i].N]
			if len(b) < headerSize+12 {
				continue
			}
			id := binary.BigEndian.Uint32(b[headerSize:])
			if int(id) >= len(x.streams) {
				continue
			}
			sent := int64(binary.BigEndian.Uint64(b[headerSize+4:]))
			if sent >= x.warm.UnixNano() {
				x.streams[id].received++
				delays = append(delays, arrival(in[i].OOB[:in[i].NN])-sent)
			}
		}
	}
}

// arrival is when the kernel received a packet, Unix nanoseconds.
func arrival(oob []byte) int64 {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(list) == 0 || len(list[0].Data) < 16 {
		return time.Now().UnixNano()
	}
	return int64(binary.NativeEndian.Uint64(list[0].Data))*int64(time.Second) + int64(binary.NativeEndian.Uint64(list[0].Data[8:]))
}

// turns returns the packets and the legs of each millisecond of a packet time,
// the packets by socket.
func (x *exchange) turns() (packets [][][]ipv4.Message, legs [][]*stream) {
	slots := int(packetTime / tick)
	packets, legs = make([][][]ipv4.Message, slots), make([][]*stream, slots)
	for s := range packets {
		packets[s] = make([][]ipv4.Message, len(x.socks))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, s := range x.streams {
		slot, sock := i%slots, i/legsASocket
		packets[slot][sock] = append(packets[slot][sock], ipv4.Message{Buffers: [][]byte{s.buf}, Addr: net.UDPAddrFromAddrPort(s.to)})
		legs[slot] = append(legs[slot], s)
	}
	return packets, legs
}

// send sends until ctx ends: each millisecond the packets of those legs whose
// turn it is.
func (x *exchange) send(ctx context.Context) {
	outs := make([]*ipv4.PacketConn, len(x.socks))
	for i, c := range x.socks {
		outs[i] = ipv4.NewPacketConn(c)
	}
	packets, legs := x.turns()
	clock := time.NewTicker(tick)
	defer clock.Stop()
	began := time.Now()
	for done := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
		}
		for due := int(time.Since(began) / tick); done < due; done++ {
			slot := done % len(legs)
			for _, s := range legs[slot] {
				s.stamp(x.warm)
			}
			for i, messages := range packets[slot] {
				if len(messages) > 0 {
					writeAll(outs[i], messages)
				}
			}
		}
	}
}

func writeAll(c *ipv4.PacketConn, messages []ipv4.Message) {
	for len(messages) > 0 {
		n, err := c.WriteBatch(messages, 0)
		if err != nil {
			n = max(n, 0) + 1 // counted as lost
		}
		messages = messages[min(n, len(messages)):]
	}
}

// stamp makes the next packet.
func (s *stream) stamp(warm time.Time) {
	s.seq++
	now := time.Now()
	if !now.Before(warm) {
		s.sent++
	}
	binary.BigEndian.PutUint16(s.buf[2:], s.seq)
	binary.BigEndian.PutUint32(s.buf[4:], uint32(s.seq)*160)
	binary.BigEndian.PutUint64(s.buf[headerSize+4:], uint64(now.UnixNano()))
}

// relayed is what a relay did with some calls.
type relayed struct {
	perCall  float64 // ms of CPU per call and second
	packets  float64 // relayed per CPU-second
	lost     uint64
	sent     uint64
	p50, p99 float64 // delay, ms
}

// measure lets the calls talk for d after a second to warm up.
func (x *exchange) measure(ctx context.Context, p *process.Process, d time.Duration) (relayed, error) {
	x.warm = time.Now().Add(time.Second)
	x.listen()
	talk, stop := context.WithCancel(ctx)
	var sender sync.WaitGroup
	sender.Go(func() { x.send(talk) })
	err := p.Wait(ctx, time.Until(x.warm))
	used, began := p.CPU(), time.Now()
	if err == nil {
		err = p.Wait(ctx, d)
	}
	cpu, took := p.CPU()-used, time.Since(began)
	stop()
	sender.Wait()
	if err == nil {
		err = p.Wait(ctx, settle)
	}
	x.close()
	if err != nil {
		return relayed{}, err
	}
	return x.sum(cpu, took), nil
}

func (x *exchange) sum(cpu, took time.Duration) (r relayed) {
	var received uint64
	for _, s := range x.streams {
		r.sent += uint64(s.sent)
		received += uint64(s.received)
	}
	r.lost = r.sent - min(r.sent, received)
	calls := float64(len(x.streams) / 2)
	r.perCall = cpu.Seconds() * 1000 / (calls * took.Seconds())
	if cpu > 0 {
		r.packets = calls * 2 * took.Seconds() / packetTime.Seconds() / cpu.Seconds()
	}
	slices.Sort(x.delays)
	if n := len(x.delays); n > 0 {
		r.p50, r.p99 = float64(x.delays[n/2])/1e6, float64(x.delays[n*99/100])/1e6
	}
	return r
}
