package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// bench is one run.
type bench struct {
	plan plan
	bin  string
	out  *table
	dir  string

	works   *worksSim
	carrier *carrier
	pbx     *target
}

// run prepares what every measurement needs and does the work.
func (b *bench) run(ctx context.Context, work func(context.Context) error) (err error) {
	if b.dir, err = os.MkdirTemp("", "dipcast-bench"); err != nil {
		return err
	}
	if b.works, err = startWorks(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.works.Close()) }()
	if b.carrier, err = newCarrier(); err != nil {
		return err
	}
	defer b.carrier.close()
	if err = work(ctx); err == nil {
		return os.RemoveAll(b.dir)
	}
	return fmt.Errorf("%w\n(logs are in %s)", err, b.dir)
}

// fresh starts a PBX that has done nothing yet; nothing without a company.
func (b *bench) fresh(ctx context.Context, of company) (stop func(), err error) {
	if of == (company{}) {
		return func() {}, nil
	}
	if b.pbx, err = startPBX(ctx, b.bin, b.dir, b.works, b.carrier.local, of); err != nil {
		return nil, err
	}
	b.carrier.serverAt(b.pbx.sip)
	return b.pbx.Stop, nil
}

// parts measures every row, or those of one part. Each part has a PBX of its
// own.
func (b *bench) parts(ctx context.Context, only string) error {
	done := false
	for _, part := range b.all() {
		if !slices.Contains(part.in, only) {
			continue
		}
		done = true
		began := time.Now()
		stop, err := b.fresh(ctx, part.of)
		if err != nil {
			return err
		}
		err = part.run(ctx)
		stop()
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %.0f s\n", part.name, time.Since(began).Seconds())
	}
	if !done {
		return fmt.Errorf("no part %q: memory, signalling, media, cards, plane, conference or talk", only)
	}
	return nil
}

// part is some rows with a PBX of their own.
type part struct {
	name string
	in   []string // the runs that it belongs to; "" is the whole
	of   company  // empty: it needs no PBX
	run  func(context.Context) error
}

func (b *bench) all() []part {
	usual := company{extensions: numbers}
	return []part{
		{"memory", []string{"", "memory"}, usual, b.memory},
		{"signalling", []string{"", "signalling"}, usual, b.signalling},
		{"media", []string{"", "media"}, usual, b.media},
		{"cards", []string{"", "cards"}, usual, b.latency},
		{"plane", []string{"plane"}, company{extensions: 2 * slices.Max(b.plan.relays)}, b.plane},
		{"recorded", []string{"plane"}, company{extensions: 2 * recordedCalls, recorded: true}, b.recorded},
		{"conference", []string{"plane", "conference"}, company{}, b.conferences},
		{"talk", []string{"talk"}, company{extensions: 2 * slices.Max(b.plan.talks)}, b.talk},
	}
}

// one runs a single load long enough for a profiler to look at it.
func (b *bench) one(ctx context.Context, name string) error {
	stop, err := b.fresh(ctx, company{extensions: numbers})
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintln(os.Stderr, "process", b.pbx.PID())
	switch name {
	case "register":
		r, err := registrations(ctx, b.pbx, b.plan.load)
		b.out.add(compare("registrations", "%.0f", r.perCPU))
		return err
	case "calls":
		r, err := setups(ctx, b.pbx, b.plan.load)
		b.out.add(compare("call set-ups", "%.0f", r.perCPU))
		return err
	case "rtp":
		r, err := dipcastRelay(ctx, b.pbx, b.plan.calls[len(b.plan.calls)-1], b.plan)
		b.out.add(compare("ms per call-second", "%.3f", r.perCall))
		return err
	}
	return fmt.Errorf("no load %q: register, calls or rtp", name)
}

const kib = 1024

// memory of a fresh process: idle, with registrations, with calls.
func (b *bench) memory(ctx context.Context) error {
	if err := b.pbx.Wait(ctx, time.Second); err != nil {
		return err
	}
	idle, own := b.pbx.Memory("VmRSS"), b.pbx.Memory("RssAnon")
	phones, err := phonesAt(b.pbx, numbers)
	if err != nil {
		return err
	}
	for _, p := range phones {
		p.contacts = b.plan.contacts
	}
	err = together(phones, func(p *phone) error { return p.register(ctx) })
	hangUp(phones)
	if err != nil {
		return err
	}
	if err := b.pbx.Wait(ctx, time.Second); err != nil {
		return err
	}
	registered := b.pbx.Memory("VmRSS")
	const calls = 100
	x, err := newExchange(calls)
	if err != nil {
		return err
	}
	end, err := talkers(ctx, b.pbx, x, calls)
	if err != nil {
		x.close()
		return err
	}
	if _, err := x.measure(ctx, b.pbx.Process, 2*time.Second); err != nil {
		end()
		return err
	}
	with := b.pbx.Memory("VmRSS")
	end()
	bindings := numbers * b.plan.contacts
	b.out.add(compare("memory idle, MiB RSS", "%.1f", idle/kib/kib))
	b.out.add(compare("- of which not shared with other processes of the program", "%.1f", own/kib/kib))
	b.out.add(compare(fmt.Sprintf("memory per registration, KiB (at %d)", bindings), "%.1f", (registered-idle)/kib/float64(bindings)))
	b.out.add(compare(fmt.Sprintf("memory per call, KiB (at %d, with audio)", calls), "%.0f", (with-registered)/kib/calls))
	return nil
}

// signalling loads PBX and proxy alike.
func (b *bench) signalling(ctx context.Context) error {
	peer, err := startKamailio(ctx, b.dir)
	switch {
	case err == nil:
		defer peer.Stop()
	case !errors.Is(err, errNotInstalled):
		return err
	}
	for _, l := range []struct {
		name, of string
		load     func(context.Context, *target, time.Duration) (result, error)
	}{
		{"registrations with digest, per CPU-second", "one registration", registrations},
		{"call set-ups with digest, per CPU-second", "call set-up (INVITE to 200)", setups},
	} {
		ours, err := l.load(ctx, b.pbx, b.plan.load)
		if err != nil {
			return err
		}
		theirs := result{}
		who := "kamailio is not installed"
		if peer != nil {
			who = "kamailio"
			if theirs, err = l.load(ctx, peer, b.plan.load); err != nil {
				return err
			}
		}
		b.out.add(compare(l.name, "%.0f", ours.perCPU, figure{who, theirs.perCPU}))
		for _, q := range []float64{0.5, 0.99} {
			b.out.add(compare(fmt.Sprintf("- %s, p%.0f, ms", l.of, q*100), "%.1f", quantile(ours.delays, q), figure{who, quantile(theirs.delays, q)}))
		}
		if ours.failed+theirs.failed > 0 {
			b.out.note("%s: %d failed here, %d at kamailio.", l.name, ours.failed, theirs.failed)
		}
	}
	return nil
}

// media relays the same calls through each relay in turn.
func (b *bench) media(ctx context.Context) error {
	for _, calls := range b.plan.calls {
		if err := b.relayRows(ctx, calls); err != nil {
			return err
		}
	}
	return nil
}

// latency of cards and presses.
func (b *bench) latency(ctx context.Context) error {
	l, err := cards(ctx, b.pbx, b.works, b.carrier, b.plan.cards)
	if err != nil {
		return err
	}
	for _, r := range []struct {
		name string
		list []time.Duration
	}{{"INVITE to card in the chat", l.card}, {"press to INVITE at the mobile", l.press}} {
		for _, q := range []float64{0.5, 0.99} {
			b.out.add(compare(fmt.Sprintf("%s, p%.0f, ms (%d calls)", r.name, q*100, len(r.list)), "%.1f", quantile(r.list, q)))
		}
	}
	return nil
}
