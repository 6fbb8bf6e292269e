package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"

	"github.com/dipcast/dipcast/hack/bench/process"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/rtpio"
	"github.com/dipcast/dipcast/pbx/media/voice"
)

// members is the size of the rooms that are measured.
const members = 50

// asteriskConference is what Asterisk 22 took for the same on the same kind of
// machine, ms CPU per member-second.
const asteriskConference = 3.21

// party is what is said in a room.
type party struct {
	name     string
	wide     int // members with G.722; the others have A-law
	speakers int // the others send the hum of a quiet room
}

// conferences measures rooms, and what merely forwarding their packets takes.
func (b *bench) conferences(ctx context.Context) error {
	bare, err := bareForwarder(ctx, b.dir, members/2, b.plan)
	if err != nil {
		return err
	}
	for _, p := range []party{
		{"all speak", 0, members},
		{"three speak", 0, 3},
		{"all speak, half in wideband", members / 2, members},
		{"three speak, half in wideband", members / 2, 3},
	} {
		ours, err := b.conference(ctx, p)
		if err != nil {
			return err
		}
		b.out.add(compare(fmt.Sprintf("conference of %d, %s: ms CPU per member-second", members, p.name), "%.2f", ours.perCall/2,
			figure{"forwarder", bare.perCall / 2}, figure{"Asterisk (recorded elsewhere)", asteriskConference}))
		b.out.add(row{name: "- packets lost", ours: fmt.Sprintf("%d of %d", ours.lost, ours.sent)})
	}
	return nil
}

// conference measures one room in a process of its own.
func (b *bench) conference(ctx context.Context, p party) (relayed, error) {
	x, err := newExchange(members / 2)
	if err != nil {
		return relayed{}, err
	}
	r, w := io.Pipe()
	defer func() { _ = r.Close() }()
	self, err := os.Executable()
	var proc *process.Process
	if err == nil {
		proc, err = process.Start(b.dir, "room", w, self, "-room", strconv.Itoa(x.port(0)), "-wide", strconv.Itoa(p.wide))
	}
	if err != nil {
		x.close()
		return relayed{}, err
	}
	defer proc.Stop()
	lines := bufio.NewScanner(r)
	for i, s := range x.streams {
		if !lines.Scan() {
			x.close()
			return relayed{}, proc.Failed()
		}
		port, err := strconv.Atoi(lines.Text())
		if err == nil {
			s.audio, err = speech(i < p.wide, i*p.speakers%members < p.speakers)
		}
		if err != nil {
			x.close()
			return relayed{}, err
		}
		s.buf[1] = spoken(i < p.wide).PayloadType
		x.aim(i, port)
	}
	return x.measure(ctx, proc, b.plan.media)
}

// spoken is the codec of a member.
func spoken(wide bool) media.Codec {
	if c, ok := codec.Named(codec.G722); ok && wide {
		return c
	}
	return codec.ALaw.Codec()
}

// silence is how many packets of hum everybody begins with: a room has a
// moment of silence before the first word.
const silence = 50

// speech is what a member says, packet by packet, from the first word on again
// and again: noise that is loud or soft.
func speech(wide, loud bool) (packets [][]byte, err error) {
	mouth, err := voice.NewMouth(spoken(wide))
	if err != nil {
		return nil, err
	}
	frame := make([]int16, mouth.Rate()/50)
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 2 * silence {
		level := 8.0
		if loud && n >= silence {
			level = 1000
		}
		for i := range frame {
			frame[i] = int16(level * r.NormFloat64())
		}
		packets = append(packets, append([]byte(nil), mouth.Say(frame)...))
	}
	return packets, nil
}

// hold is the process of one room: so many members on the media plane of the
// PBX, without a call around them. It writes their ports to w, a line each,
// and sends all of them to one port of the generator.
func hold(ctx context.Context, port, wide int, w io.Writer) (err error) {
	pool, err := rtpio.NewPool(rtpio.Config{Bind: []netip.Addr{loopback(0).Addr()}})
	if err != nil {
		return err
	}
	defer pool.Close()
	room := pool.Room()
	defer room.Close()
	for i := range members {
		p, err := pool.Allocate(netip.Addr{}, media.Notices{})
		if err != nil {
			return err
		}
		p.Apply(media.Stream{Remote: loopback(port), Codec: spoken(i < wide)})
		room.Join(p)
		if _, err := fmt.Fprintln(w, p.Local().Port()); err != nil {
			return err
		}
	}
	<-ctx.Done()
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	return ctx.Err()
}
