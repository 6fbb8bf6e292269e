package trunk

import (
	"slices"
	"strings"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
)

// Present returns the caller number to show on the trunk: wanted if the
// trunk permits it, else the trunk's default. Everything but digits in wanted
// is ignored. The result are national digits and may be empty if the trunk
// has no default.
func Present(t conf.Trunk, wanted string) string {
	number := pbx.Digits(wanted)
	if number != "" && permitted(t.CallerID, number) {
		return number
	}
	return pbx.Digits(t.CallerID.Default)
}

// permitted reports whether one of the trunk's patterns allows the number. A
// trailing * stands for any rest, an empty one included; a * elsewhere stands
// for nothing, so that a slip of the pen permits less and not more.
func permitted(c conf.CallerID, number string) bool {
	if number == pbx.Digits(c.Default) {
		return true
	}
	return slices.ContainsFunc(c.Permitted, func(pattern string) bool {
		prefix, open := strings.CutSuffix(pattern, "*")
		if strings.Contains(prefix, "*") || pbx.Digits(prefix) == "" {
			return false
		}
		if open {
			return strings.HasPrefix(number, pbx.Digits(prefix))
		}
		return number == pbx.Digits(prefix)
	})
}
