package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"sync"

	"github.com/dipcast/dipcast/pbx/text"
)

//go:embed assets
var assets embed.FS

// Paths of the assets; the query changes with the content, so that browsers
// may keep them.
const (
	PathStyle = "/static/style.css"
	PathIcon  = "/static/icon.svg"
)

// Asset returns a file by its path, its media type and whether there is one.
func Asset(path string) (data []byte, mediaType string, ok bool) {
	switch path {
	case PathStyle:
		mediaType = "text/css; charset=utf-8"
		data, _ = assets.ReadFile("assets/style.css")
	case PathIcon:
		mediaType = "image/svg+xml"
		data, _ = assets.ReadFile("assets/icon.svg")
	}
	return data, mediaType, len(data) > 0
}

// Page is what every page has.
type Page struct {
	Lang   text.Lang
	Tenant string // display name
	User   *User  // nil = nobody is signed in
	Path   string // of this page with its query, for the language switch
	// Refresh reloads the page after that many seconds; 0 = never.
	Refresh int
}

// User is who is signed in, as the header shows it.
type User struct {
	Name  string
	Role  string // key of the catalogue: "role.admin" or "role.employee"; empty: nothing is theirs
	Lines string // extensions, "101" or "101, 102"
	CSRF  string
}

// T is the page's text of the catalogue.
func (p Page) T(key string, args ...string) string { return text.Text(p.Lang, "page."+key, args...) }

// Other is the language that the page is not in.
func (p Page) Other() text.Lang {
	if p.Lang == text.Korean {
		return text.English
	}
	return text.Korean
}

// Option is one choice of a select field.
type Option struct {
	Value, Label string
	Selected     bool
}

// Row is one call of a list.
type Row struct {
	Href      string // of its page
	When      string
	Machine   string // the same for machines, RFC 3339
	Direction string // inbound, outbound, internal: style and text
	From, To  Party
	Outcome   string // style and key: answered, missed, busy, refused, failed, routing, ringing, active
	Talk      string // "1:05", empty if nobody talked
	Pulled    string // a sentence, empty if nobody pulled it
}

// Party is one side of a call.
type Party struct{ Number, Name string }

// History is the list of calls.
type History struct {
	Page
	Live []Row
	Rows []Row
	// The filter as it was given.
	Number, From, To string
	Lines            []Option // own extensions, if there are several
	Extension        string   // free field of an administrator
	Admin            bool
	Directions       []Option
	Outcomes         []Option
	Filtered         bool
	Problem          string // a sentence about a wrong filter
	First, Next      string // paths, empty if there is no such page
}

// Detail is one call.
type Detail struct {
	Page
	Row
	Live    bool
	Dialled string
	Started string
	Ended   string
	Cause   string // in words, with the codes
	Answer  string // who talked with the caller
	Offered string
	Legs    []Leg
	// Recording is nil if there is none, or none for this person.
	Recording *Recording
	// Begin and End label the two ends of the time line.
	Begin, End string
}

// Recording is the recording of a call.
type Recording struct {
	Live    bool   // the call goes on: it cannot be heard yet
	Href    string // of the sound
	Length  string
	Missing string // how much could not be written, empty = nothing
}

// Leg is one leg of a call's page; X, Ring and Talk are its bars in permille
// of the call's length.
type Leg struct {
	Role, State string // keys
	Party       Party
	Started     string
	X           int
	Ring, Talk  int
	TalkX       int
	Length      string
	Cause       string
	Elsewhere   bool
	Quality     *Quality // nil = nothing was measured
}

// Quality is one leg's audio in words and figures.
type Quality struct {
	Grade                          string // key: good, fair, poor
	Codec                          string
	LossIn, LossOut, Jitter, Delay string
	PacketsIn, PacketsOut, Dropped string
	MOS                            string // estimated opinion, received / sent; empty = none
}

// Message is a page that says one thing: sign-in, refusals, errors.
type Message struct {
	Page
	Key   string // "<Key>.title" and "<Key>.text" of the catalogue
	Args  []string
	Code  int
	Items []string // further lines
	// Link and LinkKey are the one thing to do next, may be empty.
	Link, LinkKey string
	Primary       bool // the link is the page's purpose
}

var parsed = sync.OnceValues(func() (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{
		"asset": assetURL,
	}).ParseFS(assets, "assets/*.html")
})

// assetURL adds a piece of the content's hash.
func assetURL(path string) string {
	data, _, _ := Asset(path)
	sum := sha256.Sum256(data)
	return path + "?v=" + hex.EncodeToString(sum[:4])
}

// Render writes the page of a History, Detail or Message whole or not at all.
func Render(w io.Writer, view any) error {
	t, err := parsed()
	if err != nil {
		return fmt.Errorf("the console's templates: %w", err)
	}
	var name string
	switch view.(type) {
	case History:
		name = "history.html"
	case Detail:
		name = "detail.html"
	case Message:
		name = "message.html"
	default:
		return fmt.Errorf("no page shows a %T", view)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, view); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	_, err = w.Write(b.Bytes())
	return err
}
