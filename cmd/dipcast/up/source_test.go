package up

import (
	"strings"
	"testing"
)

func TestWhatOnlyThisMachineReachesListensOnLoopbackAlone(t *testing.T) {
	for text, want := range map[string]bool{"127.0.0.1": true, "127.0.0.1 ::1": true, "192.0.2.1": false, "127.0.0.1 192.0.2.1": false} {
		if got := loopbackOnly(strings.Fields(text)); (got != nil) != want {
			t.Errorf("advertise %s: bind %v", text, got)
		}
	}
}
