package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func full() plan {
	return plan{
		sizes: []int{100, 300, 1000}, changes: 200, idle: 5 * time.Minute, between: 20 * time.Second,
		alone: 3 * time.Second, limit: 12 * time.Minute,
	}
}

// quick is to see that everything works; its figures are coarse.
func quick() plan {
	return plan{
		sizes: []int{10, 40}, changes: 40, idle: 10 * time.Second, between: 5 * time.Second,
		alone: time.Second, limit: 2 * time.Minute,
	}
}

func main() {
	log.SetLogger(logr.Discard())
	bin := flag.String("bin", "bin/operator", "the program to measure")
	short := flag.Bool("quick", false, "under two minutes, a small fleet")
	sizes := flag.String("sizes", "", "sizes of the fleet, rising, comma-separated; default 100,300,1000")
	idle := flag.Duration("idle", 0, "how long the last fleet is watched at rest; default 5m")
	audit := flag.Bool("audit", false, "also print each kind of call; the API server's log of them costs a little")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: bench-operator [FLAGS] [-- FLAGS OF THE OPERATOR]")
		flag.PrintDefaults()
	}
	flag.Parse()
	p := full()
	if *short {
		p = quick()
	}
	if *idle > 0 {
		p.idle = *idle
	}
	p.audit = *audit
	if err := p.parse(*sizes); err != nil {
		fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{plan: p, bin: *bin, flags: flag.Args(), log: os.Stderr}
	began := time.Now()
	err := b.run(ctx)
	if len(b.stages) > 0 {
		b.print(os.Stdout)
		fmt.Fprintf(os.Stdout, "%s/%s, %d CPUs, %s, %.0f s. API server, etcd, benchmark and operator share the CPUs.\n",
			runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), time.Since(began).Seconds())
	}
	if err != nil {
		stop()
		fatal(err)
	}
}

func (p *plan) parse(sizes string) error {
	if sizes == "" {
		return nil
	}
	p.sizes = nil
	for text := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || len(p.sizes) > 0 && n <= p.sizes[len(p.sizes)-1] {
			return fmt.Errorf("-sizes %s: say rising numbers, as 100,300,1000", sizes)
		}
		p.sizes = append(p.sizes, n)
	}
	return nil
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bench-operator:", err)
	os.Exit(1)
}
