package main

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"

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
	looking      = 4 * time.Millisecond
	legsASocket  = 100 // bounds what one socket's buffer must hold when the machine stalls
	batch        = 64
	settle       = 300 * time.Millisecond // for packets under way at the end
	timestampLen = 64
)

// stream is what one leg sends.
type stream struct {
	to       netip.AddrPort // the relay's port for it; under exchange.mu
	buf      []byte
	out      outgoing
	seq      uint16
	sent     uint32   // since everything was warm
	received uint32   // of those, written by the reader alone
	audio    [][]byte // what is said, for those who listen to it; nil: who sent it and when
}

// exchange sends and receives the audio of many calls with two goroutines: one
// that sends and one that reads.
type exchange struct {
	wires   []*wire
	streams []*stream // two a call: caller, callee
	before  float64   // the relay's memory without calls, octets
	delays  []int64   // nanoseconds; the reader's
	warm    time.Time

	mu sync.Mutex // for the addresses that the streams go to
}

// newExchange opens the sockets for n calls.
func newExchange(n int) (*exchange, error) {
	x := &exchange{streams: make([]*stream, 2*n)}
	for range (2*n + legsASocket - 1) / legsASocket {
		w, err := newWire()
		if err != nil {
			x.close()
			return nil, err
		}
		x.wires = append(x.wires, w)
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

// port of the leg, for its SDP.
func (x *exchange) port(leg int) int { return x.wires[leg/legsASocket].port }

// aim tells where the leg's audio goes: to that port of the relay.
func (x *exchange) aim(leg, port int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.streams[leg].to = loopback(port)
}

func (x *exchange) close() {
	for _, w := range x.wires {
		_ = w.close()
	}
}

// read empties all sockets again and again until ctx ends. It sleeps between
// two looks instead of waiting for packets: the kernel notes when each arrived,
// and a relay must not pay for waking this process up.
func (x *exchange) read(ctx context.Context) {
	clock := time.NewTicker(looking)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
		}
		for _, w := range x.wires {
			w.read(x.take)
		}
	}
}

// take counts a packet.
func (x *exchange) take(b, oob []byte) {
	if x.streams[0].audio != nil {
		x.heard(arrival(oob))
		return
	}
	if len(b) < headerSize+12 {
		return
	}
	id := binary.BigEndian.Uint32(b[headerSize:])
	if int(id) >= len(x.streams) {
		return
	}
	sent := int64(binary.BigEndian.Uint64(b[headerSize+4:]))
	if sent >= x.warm.UnixNano() {
		x.streams[id].received++
		x.delays = append(x.delays, arrival(oob)-sent)
	}
}

// heard counts a packet of a room, which was made of many others. It is
// counted for the leg whose turn it is: only their sum means something.
func (x *exchange) heard(at int64) {
	if at >= x.warm.UnixNano() {
		x.streams[0].received++
	}
}

// arrival is when the kernel received a packet, Unix nanoseconds: the only
// control message that was asked for (SCM_TIMESTAMPNS).
func arrival(oob []byte) int64 {
	const at = unix.SizeofCmsghdr
	if len(oob) < at+16 {
		return time.Now().UnixNano()
	}
	return int64(binary.NativeEndian.Uint64(oob[at:]))*int64(time.Second) + int64(binary.NativeEndian.Uint64(oob[at+8:]))
}

// turn is what is sent in one millisecond of a packet time: the packets of each
// socket, and whose they are.
type turn struct {
	packets [][]message64
	legs    []*stream
}

// turns shares the legs out among the milliseconds.
func (x *exchange) turns() []turn {
	list := make([]turn, packetTime/tick)
	for i := range list {
		list[i].packets = make([][]message64, len(x.wires))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, s := range x.streams {
		t, wire := &list[i%len(list)], i/legsASocket
		s.out.address(s.buf, s.to)
		t.packets[wire] = append(t.packets[wire], s.out.message)
		t.legs = append(t.legs, s)
	}
	return list
}

// send sends until ctx ends: each millisecond the packets of those legs whose
// turn it is.
func (x *exchange) send(ctx context.Context) {
	turns := x.turns()
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
			t := &turns[done%len(turns)]
			for _, s := range t.legs {
				s.stamp(x.warm)
			}
			for i, list := range t.packets {
				x.wires[i].write(list)
			}
		}
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
	if s.audio != nil {
		copy(s.buf[headerSize:], s.said())
		return
	}
	binary.BigEndian.PutUint64(s.buf[headerSize+4:], uint64(now.UnixNano()))
}

// said is the audio of the packet: from the beginning, then the second half
// again and again.
func (s *stream) said() []byte {
	half := len(s.audio) / 2
	if n := int(s.seq); n < half {
		return s.audio[n]
	}
	return s.audio[half+int(s.seq)%half]
}

// relayed is what a relay did with some calls.
type relayed struct {
	perCall  float64 // ms of CPU per call and second
	packets  float64 // relayed per CPU-second
	lost     uint64
	sent     uint64
	p50, p99 float64 // delay, ms
	// variation is how much longer than the shortest 99 of 100 packets took at
	// most, ms (RFC 5481 §4.2).
	variation float64
	memory    float64 // KiB RSS per call
}

// measure lets the calls talk for d after a second to warm up.
func (x *exchange) measure(ctx context.Context, p *process.Process, d time.Duration) (relayed, error) {
	x.warm = time.Now().Add(time.Second)
	listen, silence := context.WithCancel(ctx)
	defer silence()
	talk, stop := context.WithCancel(listen)
	var sender, reader sync.WaitGroup
	sender.Go(func() { x.send(talk) })
	reader.Go(func() { x.read(listen) })
	err := p.Wait(ctx, time.Until(x.warm))
	used, began := p.CPU(), time.Now()
	if err == nil {
		err = p.Wait(ctx, d)
	}
	cpu, took := p.CPU()-used, time.Since(began)
	resident := p.Memory("VmRSS")
	stop()
	sender.Wait()
	if err == nil {
		err = p.Wait(ctx, settle)
	}
	silence()
	reader.Wait()
	x.close()
	if err != nil {
		return relayed{}, err
	}
	r := x.sum(cpu, took)
	r.memory = (resident - x.before) / kib / float64(len(x.streams)/2)
	return r, nil
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
		r.variation = r.p99 - float64(x.delays[0])/1e6
	}
	return r
}
