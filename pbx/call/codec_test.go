package call

import (
	"slices"
	"testing"
)

// TestBothSidesTakeOneCodec: the caller's answer follows what the callee
// speaks, and legs that come later are offered what the caller speaks.
func TestBothSidesTakeOneCodec(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		caller := r.extension("101", "102")
		phone := r.w.to(t, "102")
		r.ringing(phone)
		phone.speaks = "PCMU"
		r.answers(phone)
		if !slices.Equal(caller.prefers, []string{"PCMU"}) {
			t.Errorf("the caller's leg was told to prefer %q", caller.prefers)
		}
		if i, j := slices.Index(caller.did, "prefer PCMU"), slices.Index(caller.did, "answer"); i < 0 || j < i {
			t.Errorf("the caller's leg was told %v", caller.did)
		}
	})
}
