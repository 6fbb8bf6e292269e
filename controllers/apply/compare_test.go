package apply

import "testing"

func TestWithin(t *testing.T) {
	type m = map[string]any
	type l = []any
	for _, tc := range []struct {
		name       string
		want, have any
		ok         bool
	}{
		{"equal", m{"a": "x"}, m{"a": "x"}, true},
		{"a default was added", m{"a": "x"}, m{"a": "x", "b": "y"}, true},
		{"a value was changed", m{"a": "x"}, m{"a": "y"}, false},
		{"a value was removed", m{"a": "x"}, m{}, false},
		{"numbers of two kinds", m{"n": int64(3)}, m{"n": float64(3)}, true},
		{"other numbers", m{"n": int64(3)}, m{"n": int64(4)}, false},
		{"a zero that is left out", m{"n": int64(0), "b": false, "s": ""}, m{}, true},
		{"an empty map that is left out", m{"m": m{}, "l": l{}}, m{}, true},
		{"elements with defaults", l{m{"name": "a"}}, l{m{"name": "a", "protocol": "TCP"}}, true},
		{"another order", l{m{"name": "a"}, m{"name": "b"}}, l{m{"name": "b"}, m{"name": "a"}}, true},
		{"an element is gone", l{m{"name": "a"}, m{"name": "b"}}, l{m{"name": "a"}}, false},
		{"a list became a map", l{"a"}, m{"a": "b"}, false},
		{"nothing wanted", nil, "x", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := within(tc.want, tc.have); got != tc.ok {
				t.Errorf("%v within %v: %v", tc.want, tc.have, got)
			}
		})
	}
}
