package kubecmd

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
)

// tone is how a word is coloured on a terminal.
type tone string

const (
	plain  tone = ""
	good   tone = "32"
	doubt  tone = "33"
	bad    tone = "31"
	strong tone = "1"
)

// paint colours text on a terminal whose user wants it.
func (e *Env) paint(t tone, text string) string {
	if t == plain || e.Width == 0 || e.Getenv("NO_COLOR") != "" || e.Getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + string(t) + "m" + text + "\x1b[0m"
}

// clean makes text from the cluster or the network harmless for a terminal:
// names of callers are what strangers chose.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}

// cells is how many columns of a terminal text takes: Hangul takes two each.
func cells(text string) int {
	n := 0
	for _, r := range text {
		n++
		if unicode.In(r, unicode.Hangul, unicode.Han, unicode.Hiragana, unicode.Katakana) {
			n++
		}
	}
	return n
}

// column is one of a table. When the table is too wide, the columns with the
// highest rank go first; rank 0 stays.
type column struct {
	head string
	rank int
	tone func(cell string) tone
}

// table writes rows below a head, narrow enough for the terminal.
func (e *Env) table(w io.Writer, columns []column, rows [][]string) {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = cells(c.head)
		for _, r := range rows {
			widths[i] = max(widths[i], cells(r[i]))
		}
	}
	shown := e.fit(columns, widths)
	line := func(cell func(int) string, painted func(int) tone) {
		var b strings.Builder
		for n, i := range shown {
			text := clean(cell(i))
			b.WriteString(e.paint(painted(i), text))
			if n < len(shown)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-cells(text)+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	line(func(i int) string { return columns[i].head }, func(int) tone { return plain })
	for _, r := range rows {
		line(func(i int) string { return r[i] }, func(i int) tone {
			if columns[i].tone == nil {
				return plain
			}
			return columns[i].tone(r[i])
		})
	}
}

// fit returns the columns that the terminal has room for, those with the
// lowest rank first. A pipe has room for all: programs that cut columns out
// need each.
func (e *Env) fit(columns []column, widths []int) []int {
	byRank := make([]int, len(columns))
	for i := range columns {
		byRank[i] = i
	}
	slices.SortStableFunc(byRank, func(a, b int) int { return columns[a].rank - columns[b].rank })
	var shown []int
	used := 0
	for _, i := range byRank {
		if e.Width == 0 || columns[i].rank == 0 || used+widths[i] <= e.Width {
			shown = append(shown, i)
			used += widths[i] + 2
		}
	}
	slices.Sort(shown)
	return shown
}

// roomy is e for who asks for all columns with -o wide and scrolls.
func (e *Env) roomy(format string) *Env {
	if format != formatWide || e.Width == 0 {
		return e
	}
	out := *e
	out.Width = 1 << 12
	return &out
}

// wrap breaks text at spaces, so that every line with its indent fits; words
// that are longer stay whole, since people copy them.
func wrap(text string, indent, columns int) string {
	room := max(columns-indent, 20)
	var b strings.Builder
	used := 0
	for _, word := range strings.Fields(clean(text)) {
		n := cells(word)
		switch {
		case used == 0:
		case used+1+n > room:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
	}
	return b.String()
}

// ago is a length of time as kubectl shows ages.
func ago(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
