package e2e

import (
	"syscall"
	"testing"

	"github.com/dipcast/dipcast/hack/calls"
	"github.com/dipcast/dipcast/pbx/conf"
)

// A pod that is told to go keeps its calls until the next one's program waits for
// them: they pause for the moment in which one takes over from the other, not for
// the time that the other one takes to come.
func TestCallsGoOnUntilTheNextProgramWaits(t *testing.T) {
	const many = 20
	p := newProgram(t)
	p.args = []string{"-linger", "1m"}
	p.configure(func(d *conf.Document) {
		d.Recording.Mode = "All"
		d.Limits.ConcurrentCalls = 2 * many
	})
	p.start()
	one, two := p.registered()
	var list []*calls.Pair
	for i := range many {
		list = append(list, p.pair(one, two, i))
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	goOn(t, list...)               // nobody has come yet
	late := p.pair(one, two, many) // a new call, as ever
	goOn(t, late)
	hangUp(t, late, true)

	next := *p
	t.Cleanup(next.kill)
	calls.Gaps(list) // begins to count
	next.begin()
	p.ended()
	goOn(t, list...)
	t.Logf("the audio paused for %s", calls.Gaps(list))
	for i, c := range list {
		hangUp(t, c, i%2 == 0)
	}
	records := next.records(many + 1)
	settled(t, records, many+1)
	for i := range records {
		if err := calls.Recorded(&records[i]); err != nil {
			t.Error(err)
		}
	}
}
