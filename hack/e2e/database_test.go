package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/pbxtest/pgtest"
	"github.com/dipcast/dipcast/pbx/phone"
)

// missed lets one call two, which does not answer, and give up.
func (p *program) missed(one, two *phone.Phone) {
	p.t.Helper()
	c, err := one.Dial(within(p.t), "102", phone.DialOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	ringing := rings(p.t, two)
	if err := c.Hangup(within(p.t)); err != nil {
		p.t.Error(err)
	}
	if _, err := ringing.WaitEnded(within(p.t)); err != nil {
		p.t.Error(err)
	}
}

// talked lets one call two and hang up.
func (p *program) talked(one, two *phone.Phone, i int) {
	p.t.Helper()
	c := p.pair(one, two, i)
	goOn(p.t, c)
	hangUp(p.t, c, true)
}

// wait waits for a value of a metric of the program.
func (p *program) wait(what, name string, value float64) {
	p.t.Helper()
	admin := fmt.Sprintf("127.0.0.1:%d", p.doc.Network.Ports.Admin)
	waitFor(p.t, what, func() bool { return metric(p.t, admin, name) == value })
}

// PostgreSQL goes away, the PBX is killed, and starts without it: the call that
// was up goes on, phones that were registered are called, and every call has its
// record, once, when the database is back.
func TestTheDatabaseIsAwayAtTheStart(t *testing.T) {
	if testing.Short() {
		t.Skip("needs PostgreSQL")
	}
	pg, err := pgtest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pg.Stop)
	dsn, err := pg.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := newProgram(t)
	p.configure(func(d *conf.Document) { d.Database.PostgresDSN = conf.Secret(dsn) })
	p.start()
	one, two := p.registered()
	p.talked(one, two, 0)
	p.records(1)
	up := p.pair(one, two, 1)

	pg.Away()
	p.talked(one, two, 2)
	p.missed(one, two)
	p.wait("two records wait", "dipcast_cdrs_waiting", 2)
	for _, kill := range []func(){p.killChild, func() { p.kill(); p.start() }} {
		kill()
		p.wait("the PBX says that its database is away", "dipcast_database_up", 0)
		goOn(t, up)
	}
	p.missed(one, two) // the phones are known, without a REGISTER
	p.talked(one, two, 3)
	p.wait("four records wait", "dipcast_cdrs_waiting", 4)
	hangUp(t, up, false)
	p.kill()
	p.start()
	p.wait("five records wait", "dipcast_cdrs_waiting", 5)

	if err := pg.Back(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	p.wait("the database is back", "dipcast_database_up", 1)
	records := p.records(6)
	p.wait("no record waits", "dipcast_cdrs_waiting", 0)
	var got []pbx.Disposition
	for _, r := range records {
		got = append(got, r.Disposition)
	}
	slices.Sort(got)
	want := []pbx.Disposition{pbx.Answered, pbx.Answered, pbx.Answered, pbx.Answered, pbx.Missed, pbx.Missed}
	if !slices.Equal(got, want) {
		t.Errorf("the calls are recorded as %v, want %v", got, want)
	}
	contacts, err := p.registrations()
	if err != nil || len(contacts) != 2 {
		t.Errorf("%d phones are registered (%v), want 2", len(contacts), err)
	}
	p.kill()
	p.start()
	if all := p.records(6); len(all) != 6 {
		t.Errorf("%d records after another start, want 6", len(all))
	}
}
