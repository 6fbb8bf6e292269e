package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/mailbox"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/pbxtest/peer"
)

const (
	loadCalls = 200
	loadRate  = 20 // calls a second
	loadHold  = 5 * time.Second
)

// 200 calls at 20 a second, with audio both ways: sipp calls as one extension,
// from one address, and another sipp echoes as the other one.
func TestTwoHundredCalls(t *testing.T) {
	r := newRig(t, setup{document: func(d *conf.Document) {
		d.Limits.ConcurrentCalls = 2 * loadCalls
		d.Bot = nil // cards for sipp are the subject of other tests
	}})
	r.sippAs("103", peer.Answer, 1)
	// The first call opens what stays open, such as connections of the database.
	warm := r.loadOf("103", 1, time.Second)
	if res, err := warm.Wait(within(t)); err != nil {
		t.Fatalf("sipp: %v: %+v", err, res)
	}
	r.cdrs(1)
	files, goroutines := openFiles(t), runtime.NumGoroutine()

	answering := r.sippAs("102", peer.Answer, loadCalls)
	calling := r.loadOf("102", loadCalls, loadHold)
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	res, err := calling.Wait(ctx)
	if err != nil || res.Succeeded != loadCalls || res.Failed != 0 {
		t.Fatalf("sipp that calls: %v: %d succeeded, %d failed: %s", err, res.Succeeded, res.Failed, res.Errors)
	}
	if res, err = answering.Wait(within(t)); err != nil || res.Succeeded != loadCalls {
		t.Errorf("sipp that answers: %v: %d succeeded, %d failed: %s", err, res.Succeeded, res.Failed, res.Errors)
	}
	for _, c := range r.cdrs(1 + loadCalls)[:loadCalls] {
		checkAudio(t, &c)
	}
	for _, reason := range []string{"unknown", "flood", "repeated", "switched", "unsent"} {
		if n := metric(t, r.server.AdminAddr(), `dipcast_rtp_dropped_total{reason="`+reason+`"`); n != 0 {
			t.Errorf("%.0f packets of calls that were up were not passed on: %s", n, reason)
		}
	}
	waitFor(t, "all media ports are given back", func() bool { return metric(t, r.server.AdminAddr(), "dipcast_rtp_ports_in_use") == 0 })
	waitFor(t, "no call is left", func() bool {
		calls, err := r.server.Control().Calls(within(t))
		return err == nil && len(calls) == 0
	})
	waitFor(t, fmt.Sprintf("not more than the %d files and sockets of before are open", files), func() bool { return openFiles(t) <= files })
	// Calls and legs keep a bounded number of goroutines for the next ones, the
	// media plane its pollers: one a call would be far more.
	goroutines += 2*mailbox.Parked + runtime.NumCPU()
	waitFor(t, fmt.Sprintf("not more than %d goroutines run", goroutines), func() bool { return runtime.NumGoroutine() <= goroutines })
}

// loadOf lets sipp call an extension as 101.
func (r *rig) loadOf(to string, calls int, hold time.Duration) *peer.SippRun {
	r.t.Helper()
	return peer.StartSipp(r.t, peer.Sipp{
		Scenario: peer.CallAuth, Remote: r.addr(), Domain: r.doc.Tenant.Domain, To: to,
		Users: [][2]string{{"101", passwords["101"]}}, Calls: calls, Rate: loadRate, Hold: int(hold / time.Millisecond),
		Audio: pbxtest.WriteRawTone(r.t, codec.ALaw, 440, time.Second),
	})
}

// atTheEnd is how many packets may come in while the other leg is closing: two
// seconds of a machine that is busy. That none is dropped before, the pool's
// own counters say exactly.
const atTheEnd = 100

// checkAudio proves by the port's counters that what one leg sent went to the
// other one.
func checkAudio(t *testing.T, c *pbx.CDR) {
	t.Helper()
	if c.Disposition != pbx.Answered || len(c.Legs) != 2 {
		t.Errorf("call %s: %s, %d legs", c.ID, c.Disposition, len(c.Legs))
		return
	}
	caller, called := c.Legs[0].Quality, c.Legs[1].Quality
	if caller.LostIn > 0 {
		t.Errorf("call %s: %d packets of the caller were lost", c.ID, caller.LostIn)
	}
	if least := uint64(loadHold / (20 * time.Millisecond) / 2); caller.PacketsIn < least || called.PacketsIn < least {
		t.Errorf("call %s: %d and %d packets came in, want %d at least", c.ID, caller.PacketsIn, called.PacketsIn, least)
	}
	for _, way := range []struct {
		name    string
		in, out uint64
	}{{"caller to called", caller.PacketsIn, called.PacketsOut}, {"called to caller", called.PacketsIn, caller.PacketsOut}} {
		if way.in > way.out+atTheEnd {
			t.Errorf("call %s, %s: %d packets came in, %d went out", c.ID, way.name, way.in, way.out)
		}
	}
	for _, q := range []pbx.Quality{caller, called} {
		if q.Foreign > 0 || q.Malformed > 0 {
			t.Errorf("call %s: %d packets were taken for foreign, %d for malformed", c.ID, q.Foreign, q.Malformed)
		}
	}
}

// cdrs waits for that many records, newest first.
func (r *rig) cdrs(n int) []pbx.CDR {
	r.t.Helper()
	var page pbx.CDRPage
	waitFor(r.t, fmt.Sprintf("%d calls are recorded", n), func() bool {
		var err error
		if page, err = r.server.CDRs().Query(within(r.t), pbx.CDRQuery{Limit: 1000}); err != nil {
			r.t.Fatal(err)
		}
		return len(page.Records) >= n
	})
	if len(page.Records) != n {
		r.t.Fatalf("%d records, want %d", len(page.Records), n)
	}
	return page.Records
}

// openFiles counts this process's open files and sockets. Those of the
// database are left out, whose pool keeps a second connection once two have
// asked at the same moment, and the test's own reservations of ports.
func openFiles(t *testing.T) (n int) {
	t.Helper()
	const dir = "/proc/self/fd"
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if of, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && !strings.Contains(of, "/pbx.db") && !strings.HasSuffix(of, pbxtest.PortLedger) {
			n++
		}
	}
	return n
}
