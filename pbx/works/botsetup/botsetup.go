// Package botsetup makes a NAVER WORKS bot fit its PBX, and takes back what it
// set: the callback URL, the callback events, and the persistent menu that
// leads to the console. `dipcast up` and the operator do it alike.
//
// It reads first and changes only what differs, so that doing it again sends
// no change. It has no goroutine and knows nothing of the PBX or Kubernetes.
// Errors are those of package works: a *works.APIError tells 401, 403, 404 and
// 429 (with its RetryAfter) apart.
package botsetup

import (
	"context"
	"reflect"
	"slices"

	"github.com/dipcast/dipcast/pbx/works"
)

// Wanted is what a PBX needs of its bot. An empty URL leaves that part alone.
type Wanted struct {
	CallbackURL string // https; http for loopback hosts alone
	ConsoleURL  string // where the menu leads
}

// menu is the persistent menu: the way to the console below the chat's input.
func (w Wanted) menu() []works.Action {
	return []works.Action{works.Link{Label: works.Plain("DIPCAST WEB"), URI: w.ConsoleURL}}
}

// ours are the events that the PBX serves: a line of text, with or without a
// button's postback.
func ours() (callback, channel []string) {
	return []string{"text"}, []string{"message", "postback"}
}

// Ensure sets what differs from w and reports whether it changed something,
// also when it then failed.
func Ensure(ctx context.Context, c *works.Client, w Wanted) (changed bool, err error) {
	if w.CallbackURL != "" {
		if changed, err = ensureCallback(ctx, c, w.CallbackURL); err != nil {
			return changed, err
		}
	}
	if w.ConsoleURL == "" {
		return changed, nil
	}
	menu, err := c.PersistentMenu(ctx)
	if err != nil || reflect.DeepEqual(menu, w.menu()) {
		return changed, err
	}
	if err := c.SetPersistentMenu(ctx, w.menu()); err != nil {
		return changed, err
	}
	return true, nil
}

func ensureCallback(ctx context.Context, c *works.Client, url string) (changed bool, err error) {
	b, err := c.Bot(ctx)
	if err != nil {
		return false, err
	}
	callback, channel := ours()
	if b.EnableCallback && b.CallbackURL == url && sameSet(b.CallbackEvents, callback) && sameSet(b.ChannelEvents, channel) {
		return false, nil
	}
	enable := true
	err = c.PatchBot(ctx, works.BotPatch{
		EnableCallback: &enable, CallbackURL: &url, CallbackEvents: callback, ChannelEvents: channel,
	})
	return err == nil, err
}

// Clear takes back what Ensure set for w: the callback if its URL is still
// ours, the menu if it still is the one that leads to our console. What
// somebody else has set since stays. A bot that is gone is no error.
func Clear(ctx context.Context, c *works.Client, w Wanted) error {
	if w.CallbackURL != "" {
		if err := clearCallback(ctx, c, w.CallbackURL); err != nil {
			return gone(err)
		}
	}
	if w.ConsoleURL == "" {
		return nil
	}
	menu, err := c.PersistentMenu(ctx)
	if err != nil || !reflect.DeepEqual(menu, w.menu()) {
		return gone(err)
	}
	return gone(c.DeletePersistentMenu(ctx))
}

func clearCallback(ctx context.Context, c *works.Client, url string) error {
	b, err := c.Bot(ctx)
	if err != nil || b.CallbackURL != url {
		return err
	}
	disable, none := false, ""
	return c.PatchBot(ctx, works.BotPatch{EnableCallback: &disable, CallbackURL: &none})
}

// gone takes a bot that no longer exists for one that is cleared.
func gone(err error) error {
	if works.IsNotFound(err) {
		return nil
	}
	return err
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
