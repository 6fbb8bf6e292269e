package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// plan is how long and how much of everything a run does.
type plan struct {
	load     time.Duration // each signalling load, each target
	media    time.Duration // each number of calls, each relay
	calls    []int         // numbers of calls at the relays
	relays   []int         // the same, where the media plane is measured alone
	talks    []int         // calls whose memory is measured when they are settled
	cards    int           // calls that send a card
	contacts int           // bindings of each extension in the memory rows
}

func full() plan {
	return plan{load: 10 * time.Second, media: 12 * time.Second, calls: []int{50, 200}, relays: []int{500, 1000}, talks: []int{100, 500, 1000}, cards: 200, contacts: 5}
}

func quick() plan {
	return plan{load: 3 * time.Second, media: 3 * time.Second, calls: []int{50, 200}, relays: []int{500}, talks: []int{100}, cards: 30, contacts: 5}
}

func main() {
	bin := flag.String("bin", "bin/dipcast", "the program to measure")
	short := flag.Bool("quick", false, "under a minute, less exact")
	only := flag.String("only", "", "measure one part alone: memory, signalling, media, cards, plane, conference or talk (the last three are not in the whole)")
	attach := flag.String("profile", "", "only this load (register, calls, rtp), with the process ID printed for a profiler")
	forward := flag.Int("forward", 0, "be the bare forwarder of that many calls (the benchmark starts itself)")
	room := flag.Int("room", 0, "be a room whose members are at that port (likewise)")
	wide := flag.Int("wide", 0, "so many of the room's members speak G.722")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *forward > 0 {
		if err := forwarder(ctx, *forward, os.Stdout); err != nil {
			fatal(err)
		}
		return
	}
	if *room > 0 {
		if err := hold(ctx, *room, *wide, os.Stdout); err != nil {
			fatal(err)
		}
		return
	}
	p := full()
	if *short {
		p = quick()
	}
	b := &bench{plan: p, bin: *bin, out: &table{}}
	work := func(ctx context.Context) error { return b.parts(ctx, *only) }
	if *attach != "" {
		work = func(ctx context.Context) error { return b.one(ctx, *attach) }
	}
	began := time.Now()
	err := b.run(ctx, work)
	b.out.print(os.Stdout)
	fmt.Fprintf(os.Stdout, "\n%s/%s, %d CPUs, %s, %.0f s. Other work on the machine moves all figures: compare ratios only.\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), time.Since(began).Seconds())
	if err != nil && !errors.Is(err, context.Canceled) {
		stop()
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}
