package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// figure is one row: a number at each size of the fleet.
type figure struct {
	name   string
	format string
	of     func(*stage) float64
	// total grows with the fleet by its nature; of others none is expected.
	total bool
}

func figures() []figure {
	per := func(v float64, n int) float64 { return v / float64(n) }
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return []figure{
		{"a new tenant until it is Ready, among all new ones, ms", "%.0f", func(s *stage) float64 { return per(ms(s.ready), s.added) }, false},
		{"- operator's calls to the API server", "%.1f", func(s *stage) float64 { return per(s.making.all(), s.added) }, false},
		{"- its reconciles of the tenant", "%.1f", func(s *stage) float64 { return per(s.making.tenants, s.added) }, false},
		{"- calls per reconcile (all kinds)", "%.2f", func(s *stage) float64 { return s.making.all() / s.making.reconciles }, false},
		{"- its CPU, ms", "%.1f", func(s *stage) float64 { return per(ms(s.making.cpu), s.added) }, false},
		{"- its calls a second", "%.0f", func(s *stage) float64 { return s.making.all() / s.ready.Seconds() }, false},
		{"- a bare client's writes a second", "%.0f", func(s *stage) float64 { return s.bare }, false},
		{"change of a plan until the document is written, p50, ms", "%.0f", func(s *stage) float64 { return ms(quantile(s.changed, 0.50)) }, false},
		{"- p99, ms", "%.0f", func(s *stage) float64 { return ms(quantile(s.changed, 0.99)) }, false},
		{"- a bare write until it is seen, p50, ms", "%.0f", func(s *stage) float64 { return ms(quantile(s.floor, 0.50)) }, false},
		{"- a bare write until it is seen, p99, ms", "%.0f", func(s *stage) float64 { return ms(quantile(s.floor, 0.99)) }, false},
		{"- operator's calls for one change", "%.1f", func(s *stage) float64 { return per(s.changing.all(), len(s.changed)) }, false},
		{"- its reconciles for one change (all kinds)", "%.1f", func(s *stage) float64 { return per(s.changing.reconciles, len(s.changed)) }, false},
		{"- its CPU for one change, ms", "%.1f", func(s *stage) float64 { return per(ms(s.changing.cpu), len(s.changed)) }, false},
		{"change of a class until every document is written, s", "%.1f", func(s *stage) float64 { return s.class.Seconds() }, true},
		{"- operator's calls, a tenant", "%.1f", func(s *stage) float64 { return per(s.classes.all(), s.tenants) }, false},
		{"operator's memory, MiB RSS", "%.0f", func(s *stage) float64 { return s.idle.rss / (1 << 20) }, true},
		{"- of it heap in use, MiB", "%.0f", func(s *stage) float64 { return s.idle.heap / (1 << 20) }, true},
		{"- goroutines", "%.0f", func(s *stage) float64 { return s.idle.goroutines }, true},
		{"idle: CPU, thousandths of a core", "%.1f", func(s *stage) float64 { return milli(s.idle.cpu, s.idleFor) }, true},
		{"- reports asked of PBXs, a second", "%.1f", func(s *stage) float64 { return s.idlePoll / s.idleFor.Seconds() }, true},
		{"- calls to the API server, a minute", "%.1f", func(s *stage) float64 { return s.idle.all() / s.idleFor.Minutes() }, true},
		{"- reconciles, a minute", "%.1f", func(s *stage) float64 { return s.idle.reconciles / s.idleFor.Minutes() }, true},
	}
}

// print writes the figures as a table that is also Markdown, with their growth
// from the first to the last size.
func (b *bench) print(w io.Writer) {
	head := []string{"figure"}
	for _, s := range b.stages {
		head = append(head, fmt.Sprintf("%d tenants", s.tenants))
	}
	first, last := b.stages[0], b.stages[len(b.stages)-1]
	rows := [][]string{append(head, "growth")}
	times := float64(last.tenants) / float64(first.tenants)
	for _, f := range figures() {
		row := []string{f.name}
		for _, s := range b.stages {
			row = append(row, fmt.Sprintf(f.format, f.of(s)))
		}
		rows = append(rows, append(row, f.growth(f.of(first), f.of(last), times)))
	}
	width := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	for i, r := range rows {
		for j, c := range r {
			fmt.Fprint(w, "| ", c, strings.Repeat(" ", width[j]-utf8.RuneCountInString(c)), " ")
		}
		fmt.Fprintln(w, "|")
		if i == 0 {
			for _, n := range width {
				fmt.Fprint(w, "|", strings.Repeat("-", n+2))
			}
			fmt.Fprintln(w, "|")
		}
	}
	b.notes(w, last, times)
}

// growth is the factor; a total is measured against that of the fleet.
func (f figure) growth(first, last, times float64) string {
	if first == 0 {
		return ""
	}
	g := fmt.Sprintf("× %.2f", last/first)
	if f.total {
		g += fmt.Sprintf(" of %.0f", times)
	}
	return g
}

func (b *bench) notes(w io.Writer, last *stage, times float64) {
	fmt.Fprintf(w, "\nA tenant: %s. %d nodes.\n", made, nodes(last.tenants))
	fmt.Fprintf(w, "Growth: from %d to %d tenants, a fleet × %.0f; what is linear grows as much in total and × 1 each.\n",
		b.stages[0].tenants, last.tenants, times)
	for _, s := range b.stages {
		fmt.Fprintf(w, "%d new tenants were Ready %.1f s after the first manifest.\n", s.added, s.ready.Seconds())
	}
	fmt.Fprintf(w, "Calls for a new tenant: %s; for a change: %s; reconciles that ended in an error: %.0f.\n",
		last.making.byMethod(float64(last.added)), last.changing.byMethod(float64(len(last.changed))), last.making.failures+last.changing.failures)
	fmt.Fprintf(w, "Changes: %d at each size, %d a second. Idle: %.0f s, beside the lease's renewal each 2 s.\n",
		len(last.changed), changesASecond, last.idleFor.Seconds())
	if last.restart > 0 {
		fmt.Fprintf(w, "A new operator has looked at all %d tenants %.1f s after its start: %s a tenant.\n",
			last.tenants, last.restart.Seconds(), last.restarted.byMethod(float64(last.tenants)))
	}
}

func milli(cpu, wall time.Duration) float64 { return 1000 * cpu.Seconds() / wall.Seconds() }

// quantile of sorted durations.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func text(sorted []time.Duration) string {
	return fmt.Sprintf("p50 %s, p99 %s", quantile(sorted, 0.5).Round(time.Millisecond), quantile(sorted, 0.99).Round(time.Millisecond))
}
