package main

import (
	"fmt"
	"io"
	"strings"
)

// row is one figure: ours, and that of each peer that was measured beside it.
type row struct {
	name  string
	ours  string
	peers string // names and figures
	ratio string // ours to theirs
}

// table collects rows and the reasons why some have no peer.
type table struct {
	rows  []row
	notes []string
}

func (t *table) add(r row) { t.rows = append(t.rows, r) }

func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// print writes the rows as a table that is also Markdown.
func (t *table) print(w io.Writer) {
	all := append([]row{{"figure", "dipcast", "peer", "dipcast : peer"}}, t.rows...)
	var width [4]int
	for _, r := range all {
		for i, c := range r.cells() {
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	for i, r := range all {
		fmt.Fprint(w, "|")
		for j, c := range r.cells() {
			fmt.Fprintf(w, " %s%s |", c, strings.Repeat(" ", width[j]-len([]rune(c))))
		}
		fmt.Fprintln(w)
		if i == 0 {
			for j := range width {
				fmt.Fprintf(w, "|%s", strings.Repeat("-", width[j]+2))
			}
			fmt.Fprintln(w, "|")
		}
	}
	for _, n := range t.notes {
		fmt.Fprintln(w, "\n"+n)
	}
}

func (r row) cells() [4]string { return [4]string{r.name, r.ours, r.peers, r.ratio} }

// relayed adds the rows of one load on a relay and its peers.
func (t *table) relayed(name string, ours relayed, names []string, peers []relayed) {
	line := func(name, format string, of func(relayed) float64) {
		figures := make([]figure, len(peers))
		for i, p := range peers {
			figures[i] = figure{names[i], of(p)}
		}
		t.add(compare(name, format, of(ours), figures...))
	}
	line(name+": ms CPU per call-second", "%.2f", func(r relayed) float64 { return r.perCall })
	line("- packets per CPU-second", "%.0f", func(r relayed) float64 { return r.packets })
	line("- delay p50, ms", "%.2f", func(r relayed) float64 { return r.p50 })
	line("- delay p99, ms", "%.2f", func(r relayed) float64 { return r.p99 })
	line("- delay variation p99, ms", "%.2f", func(r relayed) float64 { return r.variation })
	line("- memory per call, KiB RSS", "%.0f", func(r relayed) float64 { return r.memory })
	lost := row{name: "- packets lost", ours: fmt.Sprintf("%d of %d", ours.lost, ours.sent)}
	for i, p := range peers {
		if p.sent > 0 {
			lost.peers += fmt.Sprintf("%s%s %d", map[bool]string{true: ", "}[lost.peers != ""], names[i], p.lost)
		}
	}
	t.add(lost)
}

// figure is one measured number of one peer.
type figure struct {
	who   string
	value float64
}

// compare makes a row; a peer that was not measured says why in who.
func compare(name, format string, ours float64, peers ...figure) row {
	r := row{name: name, ours: fmt.Sprintf(format, ours)}
	var names, ratios []string
	for _, p := range peers {
		if p.value == 0 {
			names = append(names, p.who)
			continue
		}
		names = append(names, p.who+" "+fmt.Sprintf(format, p.value))
		ratios = append(ratios, fmt.Sprintf("%.2f", ours/p.value))
	}
	r.peers, r.ratio = strings.Join(names, ", "), strings.Join(ratios, ", ")
	return r
}
