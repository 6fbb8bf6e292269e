package sipua

import "github.com/dipcast/dipcast/pbx"

// sipLeg is one dialog.
type sipLeg struct {
	trunk string
}

// End implements leg.Leg.
func (l *sipLeg) End(pbx.Cause) {}
