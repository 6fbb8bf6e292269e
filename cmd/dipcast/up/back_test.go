package up_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A manifest that is moved away and back, as some editors save it, brings the
// first tenant back to the ports of the flags; without any tenant in the
// manifests those that run go on.
func TestFirstTenantComesBackToItsPorts(t *testing.T) {
	s := newStage(t)
	s.start()
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	acme, away := filepath.Join(s.manifests, "acme.yaml"), filepath.Join(t.TempDir(), "acme.yaml")
	move(acme, away)
	s.out.wait(t, "acme/acme: has ended")
	s.out.clear()

	beta, betaAway := filepath.Join(s.manifests, "beta.yaml"), filepath.Join(t.TempDir(), "beta.yaml")
	move(beta, betaAway)
	s.out.wait(t, "the manifests hold no PBXTenant any more")
	s.out.wait(t, "the last good state goes on")
	s.out.clear()
	move(betaAway, beta)
	move(away, acme)
	s.out.wait(t, fmt.Sprintf("acme/acme: SIP 127.0.0.1:%d (UDP, TCP), console http://127.0.0.1:%d", s.sip, s.http))
	call(t, s.registered(s.betaPhone("200")), s.registered(s.betaPhone("101")), "101").end(t)
}
