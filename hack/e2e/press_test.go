package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

// withBot gives the program a NAVER WORKS whose bot calls it back, and returns
// the stage from which people press.
func (p *program) withBot() *rig {
	p.t.Helper()
	base := fmt.Sprintf("http://127.0.0.1:%d", p.doc.Network.Ports.HTTP)
	works := startWorks(p.t, func(c *sim.Config) { c.Bots[0].CallbackURL = base + "/works/callback" })
	bot := document(p.t).Bot
	bot.APIURL, bot.AuthURL, bot.IssuerURL = works.APIURL(), works.AuthURL(), works.URL()
	bot.Cards = conf.Cards{External: true, Missed: true}
	p.configure(func(d *conf.Document) { d.Bot, d.Web.BaseURL = bot, base })
	return &rig{t: p.t, sim: works, doc: p.doc}
}

// A press that is sent while the PBX is dead waits in the socket that its parent
// holds: the next one acts on it, and a button that was pressed before does
// nothing more.
func TestAPressWhileThePBXIsDead(t *testing.T) {
	p := newProgram(t)
	stage := p.withBot()
	p.start()
	one, two := p.registered()
	p.missed(one, two)
	card := stage.cardWith(bada, "부재중")

	if err := syscall.Kill(p.living(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	stage.press(bada, card, callBack)
	lifted := rings(t, two)
	t.Logf("the press was acted on %v after the kill", time.Since(killed).Round(time.Millisecond))
	answer(t, lifted)
	called := rings(t, one)
	answer(t, called)
	converse(t, lifted, called, 440, 660)

	p.killChild()
	converse(t, lifted, called, 500, 700)
	stage.press(bada, card, callBack)
	stage.said(bada, "이미 누른 버튼")
	if err := lifted.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	p.quiet()
	if len(two.Incoming()) > 0 {
		t.Error("a button that was pressed before the kill calls a second time")
	}
}
