package e2e

import (
	"strings"
	"testing"
)

// The starter sets what NAVER WORKS must know of the PBX, puts it right when
// it was changed outside, and changes nothing that is right.
func TestTheBotIsManaged(t *testing.T) {
	r := newRig(t, setup{})
	id := r.doc.Bot.BotID
	settings, ok := r.sim.BotSettings(id)
	if !ok || !settings.EnableCallback || settings.CallbackURL != r.doc.Web.BaseURL+"/works/callback" {
		t.Errorf("settings %+v", settings)
	}
	if menu := string(r.sim.Menu(id)); !strings.Contains(menu, r.doc.Web.BaseURL+"/") {
		t.Errorf("menu %s", menu)
	}
	writes := r.sim.Calls("bot.patch") + r.sim.Calls("bot.menu.set")
	if err := r.server.ManageBot(within(t), r.doc.Web.BaseURL); err != nil {
		t.Fatal(err)
	}
	if got := r.sim.Calls("bot.patch") + r.sim.Calls("bot.menu.set"); got != writes {
		t.Errorf("%d writes although everything was right", got-writes)
	}
	if err := r.server.ManageBot(within(t), "https://pbx.example.com"); err != nil {
		t.Fatal(err)
	}
	if settings, _ := r.sim.BotSettings(id); settings.CallbackURL != "https://pbx.example.com/works/callback" {
		t.Errorf("settings %+v after a change", settings)
	}
}
