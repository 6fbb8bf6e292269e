package roster

import (
	"cmp"
	"fmt"
	"slices"
)

// rank orders notes: what costs somebody a telephone comes first.
type rank int

const (
	twice rank = iota
	manifest
	noRoom
	several
	unreadable
	noMobile
)

type note struct {
	rank rank
	text string
}

type notes []note

func (n *notes) add(r rank, format string, args ...any) {
	*n = append(*n, note{r, fmt.Sprintf(format, args...)})
}

// list returns the first notes in their one order, and how many there are
// beside them.
func (n *notes) list() []string {
	slices.SortFunc(*n, func(a, b note) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.text, b.text)) })
	var out []string
	for _, one := range (*n)[:min(len(*n), MaxNotes)] {
		out = append(out, one.text)
	}
	if more := len(*n) - MaxNotes; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return out
}
