package compile

import (
	"maps"
	"slices"
	"strings"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// edge is one way in which a call at a number goes on to another number.
type edge struct {
	to     string
	object Object
	path   string
}

// loops finds forwarding that comes back to where it began: such a call rings
// for ever and holds a line of the carrier. Each loop is told once, where it
// closes.
func (c *compiler) loops() {
	const (
		unseen = iota
		onPath
		done
	)
	state := map[string]int{}
	var trail []string
	var walk func(number string)
	walk = func(number string) {
		state[number] = onPath
		trail = append(trail, number)
		for _, e := range c.edges[number] {
			switch state[e.to] {
			case unseen:
				walk(e.to)
			case onPath:
				loop := append(slices.Clone(trail[slices.Index(trail, e.to):]), e.to)
				c.errorf(e.object, e.path, e.to, v1alpha1.ReasonLoop,
					"calls that nobody answers would go round for ever (%s): let one of them end or go elsewhere",
					strings.Join(loop, " → "))
			}
		}
		trail = trail[:len(trail)-1]
		state[number] = done
	}
	for _, number := range slices.Sorted(maps.Keys(c.edges)) {
		if state[number] == unseen {
			walk(number)
		}
	}
}
