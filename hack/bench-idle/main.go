// Command bench-idle prints what tenants cost that nobody calls: it starts many
// processes of pbx on this machine, each with a document of its own, and tells
// memory, time from exec to ready, and CPU of each: parent and child together.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/dipcast/dipcast/hack/bench/process"
	"github.com/dipcast/dipcast/pbx/conf"
)

func main() {
	bin := flag.String("bin", "bin/pbx", "the program to measure")
	n := flag.Int("n", 100, "tenants, 1 to 500")
	idle := flag.Duration("idle", 10*time.Second, "how long CPU is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *bin, min(max(*n, 1), 500), *idle, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-idle:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string, n int, idle time.Duration, out io.Writer) error {
	dir, err := os.MkdirTemp("", "bench-idle-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // of this run alone
	var running []*process.Process
	defer func() {
		for _, p := range running {
			p.Stop()
		}
	}()
	var ready, rss, own, share, cpu []float64
	for i := range n {
		p, took, err := start(ctx, bin, filepath.Join(dir, strconv.Itoa(i)))
		if p != nil {
			running = append(running, p)
		}
		if err != nil {
			return err
		}
		ready = append(ready, took.Seconds()*1000)
	}
	before := make([]time.Duration, n)
	for i, p := range running {
		before[i] = p.CPU()
	}
	if err := running[0].Wait(ctx, idle); err != nil {
		return err
	}
	const mib = 1 << 20
	for i, p := range running {
		cpu = append(cpu, float64(p.CPU()-before[i])/float64(idle)*1000)
		rss, own, share = append(rss, p.Memory("VmRSS")/mib), append(own, p.Memory("RssAnon")/mib), append(share, p.Share()/mib)
	}
	fmt.Fprintf(out, "%d idle tenants, parent and child of each together\n%-48s %8s %8s %8s\n", n, "", "min", "median", "max")
	for _, row := range []struct {
		name    string
		figures []float64
	}{
		{"exec to ready, one after the other, ms", ready},
		{"RSS, MiB (shared pages counted in both)", rss},
		{"PSS, MiB (shared pages counted by their share)", share},
		{"anonymous, MiB (no other process has them)", own},
		{"CPU, thousandths of a core", cpu},
	} {
		slices.Sort(row.figures)
		fmt.Fprintf(out, "%-48s %8.1f %8.1f %8.1f\n", row.name, row.figures[0], row.figures[n/2], row.figures[n-1])
	}
	return nil
}

// start runs a PBX in a folder of its own and tells how long it took to be
// ready.
func start(ctx context.Context, bin, dir string) (*process.Process, time.Duration, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, 0, err
	}
	var ports [3]int
	for i := range ports {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, 0, err
		}
		defer func() { _ = l.Close() }() // at the latest; closed below
		if _, err := fmt.Sscanf(l.Addr().String(), "127.0.0.1:%d", &ports[i]); err != nil {
			return nil, 0, err
		}
		if err := l.Close(); err != nil {
			return nil, 0, err
		}
	}
	name := filepath.Base(dir)
	text, err := json.Marshal(conf.Document{
		Version: conf.Version, Generation: "1",
		Tenant: conf.Tenant{Namespace: "bench", Name: "t" + name, Domain: "t" + name + ".pbx.example", Locale: "ko-KR", TimeZone: "Asia/Seoul"},
		Limits: conf.Limits{Extensions: 50, RegistrationsOperating: 50, RegistrationsMaximum: 100, ConcurrentCalls: 20},
		Network: conf.Network{
			Advertise: map[string][]string{"": {"127.0.0.1"}}, Bind: []string{"127.0.0.1"},
			Ports: conf.Ports{SIP: ports[0], HTTP: ports[1], Admin: ports[2]},
		},
		Numbering: conf.Numbering{Country: "KR", AreaCode: "02"}, Media: conf.Media{Codecs: []string{"PCMA"}},
		Outbound: conf.Outbound{Policy: "Domestic"}, Web: conf.Web{BaseURL: "https://t" + name + ".pbx.example"},
	})
	if err != nil {
		return nil, 0, err
	}
	file := filepath.Join(dir, "document.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, 0, err
	}
	began := time.Now()
	p, err := process.Start(dir, "pbx", nil, bin, "--document", file, "--data", dir)
	if err != nil {
		return nil, 0, err
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/readyz", ports[2])
	err = p.Until(ctx, func(ctx context.Context) bool { return process.Answers(ctx, url) })
	return p, time.Since(began), err
}
