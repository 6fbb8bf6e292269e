package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dipcast/dipcast/hack/calls"
	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/phone"
)

// killsEnv says how often TestKilledAgainAndAgain kills; make soak sets it.
const killsEnv = "E2E_KILLS"

// configure writes the program's document again.
func (p *program) configure(change func(*conf.Document)) {
	p.t.Helper()
	change(p.doc)
	text, err := json.Marshal(p.doc)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(p.document, text, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// killChild kills the PBX and leaves its parent, which holds the sockets and
// begins another one.
func (p *program) killChild() {
	p.t.Helper()
	child := p.living()
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
	waitFor(p.t, "the parent has begun another PBX", func() bool {
		next := p.child()
		_, err := p.registrations()
		return next != 0 && next != child && err == nil
	})
}

// living is the process ID of the PBX below its parent. The kernel's list of
// children may miss one while processes come and go.
func (p *program) living() (child int) {
	p.t.Helper()
	waitFor(p.t, "there is a PBX", func() bool {
		child = p.child()
		return child != 0
	})
	return child
}

// child is living, or 0 if none is seen.
func (p *program) child() int {
	p.t.Helper()
	pid := p.cmd.Process.Pid
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		p.t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	if len(fields) == 0 {
		return 0
	}
	child, err := strconv.Atoi(fields[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return child
}

// pair connects two phones, of which 102 rings.
func (p *program) pair(one, two *phone.Phone, i int) *calls.Pair {
	p.t.Helper()
	c, err := calls.Connect(within(p.t), one, two, "102", i)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// pairs are so many calls between two phones, of which 102 rings.
func (p *program) pairs(one, two *phone.Phone, n int) (list []*calls.Pair) {
	p.t.Helper()
	for i := range n {
		list = append(list, p.pair(one, two, i))
	}
	return list
}

// goOn proves that all of them do.
func goOn(t *testing.T, list ...*calls.Pair) {
	t.Helper()
	if err := calls.AllGoOn(within(t), list); err != nil {
		t.Error(err)
	}
}

// hangUp ends a call from one side; the other one must hear of it.
func hangUp(t *testing.T, c *calls.Pair, byCaller bool) {
	t.Helper()
	if err := c.HangUp(within(t), byCaller); err != nil {
		t.Error(err)
	}
}

// settled checks the records of calls that all ended by hanging up.
func settled(t *testing.T, records []pbx.CDR, n int) {
	t.Helper()
	if err := calls.Settled(records, n); err != nil {
		t.Error(err)
	}
}

// Fifty recorded calls go on when the PBX is killed, with a parent that holds
// its sockets and without; every record and every recording is whole.
func TestFiftyCallsOutliveTheProcess(t *testing.T) {
	const many = 50
	p := newProgram(t)
	p.configure(func(d *conf.Document) {
		d.Recording.Mode = "All"
		d.Limits.ConcurrentCalls = 2 * many
	})
	p.start()
	one, two := p.registered()
	list := p.pairs(one, two, many)
	goOn(t, list...)
	for _, kill := range []struct {
		name string
		do   func()
	}{
		{"the sockets held by the parent", p.killChild},
		{"the parent killed, too", func() { p.kill(); p.start() }},
	} {
		calls.Gaps(list) // begins to count
		kill.do()
		goOn(t, list...)
		t.Logf("%s: the audio paused for %s", kill.name, calls.Gaps(list))
	}
	for i, c := range list {
		hangUp(t, c, i%2 == 0)
	}
	records := p.records(many)
	settled(t, records, many)
	for i := range records {
		if err := calls.Recorded(&records[i]); err != nil {
			t.Error(err)
		}
	}
}

// footprint is what a process and its data take.
type footprint struct {
	resident, journal int64 // bytes
	files             int   // that the process has open
}

// footprint looks at the PBX below the parent.
func (p *program) footprint() (f footprint) {
	p.t.Helper()
	child := p.living()
	f.resident, _ = resident(p.t, child)
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", child))
	if err != nil {
		p.t.Fatal(err)
	}
	f.files = len(open)
	journal, err := os.Stat(filepath.Join(p.data, "calls.journal"))
	if err != nil {
		p.t.Fatal(err)
	}
	f.journal = journal.Size()
	return f
}

func (f footprint) String() string {
	return fmt.Sprintf("%d KiB resident, %d files, %d KiB of journal", f.resident>>10, f.files, f.journal>>10)
}

// Killed at any moment, again and again, the PBX loses no call whose two phones
// are there, doubles none, counts each once, and does not grow.
func TestKilledAgainAndAgain(t *testing.T) {
	kills := 12
	if text := os.Getenv(killsEnv); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	p := newProgram(t)
	p.start()
	one, two := p.registered()
	var live []*calls.Pair
	var first footprint
	begun := 0
	for i := range kills {
		for len(live) < 4 {
			live = append(live, p.pair(one, two, begun))
			begun++
		}
		p.killSoon(i)
		goOn(t, live...)
		if t.Failed() {
			t.Fatalf("after %d kills", i+1)
		}
		switch now := p.footprint(); {
		case i == 0:
			first = now
		case now.files > first.files+spareFiles, now.resident > 2*first.resident, now.journal > mostJournal:
			t.Fatalf("after %d kills: %v, after the first one: %v", i+1, now, first)
		case (i+1)%100 == 0:
			t.Logf("after %d kills and %d calls: %v", i+1, begun, now)
		}
		n := rand.IntN(len(live))
		hangUp(t, live[n], i%2 == 0)
		live = slices.Delete(live, n, n+1)
	}
	for _, c := range live {
		hangUp(t, c, true)
	}
	settled(t, p.records(begun), begun)
	t.Logf("%d kills, %d calls, after the first kill: %v", kills, begun, first)
}

const (
	// spareFiles may be open in one process more than in another: connections
	// that are being served, and of the database.
	spareFiles = 16
	// mostJournal is above the size at which a journal is written anew.
	mostJournal = 8 << 20
)

// killSoon kills the PBX at a random moment, every fourth time with its
// parent. Now and then it lives long enough to ask the phones whether they are
// there.
func (p *program) killSoon(i int) {
	p.t.Helper()
	within := 400 * time.Millisecond
	if i%20 == 19 {
		within = 6 * time.Second
	}
	<-time.After(rand.N(within))
	if i%4 == 0 {
		p.kill()
		p.start()
	} else {
		p.killChild()
	}
}

// terminate sends SIGTERM and waits until the program has ended well.
func (p *program) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	p.ended()
}

// ended waits until the program has ended, without an error.
func (p *program) ended() {
	p.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			p.t.Errorf("the program ended with %v: %s", err, p.log)
		}
	case <-within(p.t).Done():
		_ = p.cmd.Process.Kill()
		<-ended
		p.t.Errorf("the program does not end: %s", p.log)
	}
	p.cmd = nil
}

// drain posts a drain.
func (p *program) drain(d conf.Drain) {
	p.t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(within(p.t), http.MethodPost,
		fmt.Sprintf("http://127.0.0.1:%d%s", p.doc.Network.Ports.Admin, conf.PathDrain), bytes.NewReader(text))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.doc.Web.APIToken.Reveal())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		p.t.Fatalf("the drain is answered with %d", res.StatusCode)
	}
}

// SIGTERM leaves the calls to the next process.
func TestTermHandsTheCallsOver(t *testing.T) {
	p := newProgram(t)
	p.start()
	one, two := p.registered()
	c := p.pair(one, two, 0)
	goOn(t, c)
	p.terminate()
	p.start()
	goOn(t, c)
	hangUp(t, c, false)
	settled(t, p.records(1), 1)
}
