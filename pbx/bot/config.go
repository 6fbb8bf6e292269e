package bot

import (
	"context"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/text"
	"github.com/dipcast/dipcast/pbx/works"
)

// Extension is one number and the person behind it.
type Extension struct {
	Number      string
	DisplayName string
	WorksUser   string // login e-mail or user ID; empty: nobody gets cards
	Mobile      string
}

// Cards says which notices are sent.
type Cards struct{ External, Internal, Missed bool }

// Config is what the bot knows of its tenant. It is not changed after it was
// handed over.
type Config struct {
	BaseURL    string         // of the console, no trailing slash; no link unless https (or http on loopback)
	Locale     string         // BCP 47, the language of texts without a variant
	TimeZone   *time.Location // nil = UTC
	Extensions []Extension
	Cards      Cards
}

// Messenger sends messages without ever holding up the caller; *works.Queue
// is one.
type Messenger interface {
	Send(m works.Message)
}

// Hooks are told what happened, for metrics. Each may be nil and is called
// from any goroutine; none may block.
type Hooks struct {
	// CardSent: the service took a card; d is the time since the call came in.
	CardSent func(kind string, d time.Duration)
	// Press: a press was answered. Outcome is "ok", a pbx.Code, "late", "unverified" or "forged".
	Press func(action, outcome string)
	// Dropped: an event came while the mailbox was full, the oldest one was lost.
	Dropped func()
}

// Options are what the bot needs of its surroundings.
type Options struct {
	Config    Config
	Tenant    string // "namespace/name", part of every token
	Key       []byte // at least 32 random bytes that outlive the process; tokens are sealed under it
	Control   pbx.Controller
	Messenger Messenger
	// ResolveUser returns the user ID of a login e-mail: the cards may go to
	// either, presses come with the ID alone. It may take its time.
	ResolveUser func(ctx context.Context, user string) (string, error)
	// CallerName looks up a caller for one viewer (a NAVER WORKS user, who
	// may be permitted contacts that others are not). It must not block.
	// nil = no look-up.
	CallerName func(viewer, number string) (name, company string)
	Hooks      Hooks
	// Journal keeps the buttons that were pressed beyond the life of the process;
	// nil: they are good for another press after it.
	Journal journal.Store
	Log     *slog.Logger     // nil = discard
	Now     func() time.Time // nil = time.Now
	Rand    io.Reader        // nil = crypto/rand
}

// directory is a Config with its look-ups.
type directory struct {
	Config
	lang        text.Lang
	byExtension map[string]Extension
}

func newDirectory(c Config) *directory {
	d := &directory{Config: c, lang: text.Match(c.Locale), byExtension: make(map[string]Extension, len(c.Extensions))}
	for _, e := range c.Extensions {
		d.byExtension[e.Number] = e
	}
	return d
}

// link is the page of a call; empty if there is no address that the API takes.
func (d *directory) link(id pbx.CallID) string {
	if d.BaseURL == "" {
		return ""
	}
	uri := strings.TrimRight(d.BaseURL, "/") + "/calls/" + url.PathEscape(string(id))
	if works.CheckURI(uri) != nil {
		return ""
	}
	return uri
}

// isEmail tells a login e-mail from a user ID.
func isEmail(user string) bool { return strings.Contains(user, "@") }
