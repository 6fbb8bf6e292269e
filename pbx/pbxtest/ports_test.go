package pbxtest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReservedPortsAreNobodyElses(t *testing.T) {
	taken := map[int]bool{}
	for range 40 {
		from := FreeRange(t, 50)
		for p := from; p < from+50; p++ {
			if taken[p] {
				t.Fatalf("port %d is given out twice", p)
			}
			taken[p] = true
		}
	}
}

func TestReservationEndsWithTheTest(t *testing.T) {
	ledger, err := os.OpenFile(filepath.Join(os.TempDir(), PortLedger), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ledger.Close() }()
	var from int
	t.Run("a test with ports", func(t *testing.T) {
		from = FreeRange(t, 20)
		if reserve(ledger, from+5, 1) {
			t.Error("a port of the running test can be reserved again")
		}
	})
	if !reserve(ledger, from, 20) {
		t.Error("the ports of the ended test stay reserved")
	}
}
