package bot

import (
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/text"
	"github.com/dipcast/dipcast/pbx/works"
)

// Limits of text that comes from the network, in UTF-16 units.
const (
	maxName   = 40
	maxDigits = 24
	// shortestOutside is how many digits a number needs to be called back.
	shortestOutside = 7
)

// card is one notice before it is written in languages: pure data.
type card struct {
	kind    string // "external", "internal", "missed": also the key of its text
	from    party
	to      string
	at      string // local time of day, only of a missed call
	buttons []button
	link    string // the call's page, empty: no such button
}

// party is the caller as shown.
type party struct{ number, name, company string }

// button is one press with its token.
type button struct {
	action Action
	token  string
}

// words writes a text in every language of the catalogue; main is the one of
// the tenant.
func words(main text.Lang, write func(text.Lang) string) works.Words {
	w := works.Words{Text: write(main), I18n: map[works.Language]string{}}
	for _, l := range text.Cards() {
		w.I18n[works.Language(l.WorksCode())] = write(l)
	}
	return w
}

// say is words for one entry of the catalogue.
func say(main text.Lang, key string, args ...string) works.Words {
	return words(main, func(l text.Lang) string { return text.Text(l, key, args...) })
}

// content is the card as the API takes it.
func (c card) content(main text.Lang) works.Content {
	b := works.Buttons{Words: words(main, func(l text.Lang) string {
		return works.Truncate(text.Text(l, "card."+c.kind, c.from.in(l), c.to, c.at), works.MaxButtonsText)
	})}
	for _, p := range c.buttons {
		b.Actions = append(b.Actions, works.Press{Label: say(main, "button."+p.action.String()), Postback: p.token})
	}
	if c.link != "" {
		b.Actions = append(b.Actions, works.Link{Label: say(main, "button.web"), URI: c.link})
	}
	if len(b.Actions) == 0 {
		return works.Text{Words: b.Words}
	}
	return b
}

// in writes the caller for people: number, then name and company if known.
func (p party) in(l text.Lang) string {
	number, name := p.number, p.name
	if number == "" {
		number = text.Text(l, "party.withheld")
	}
	if name == "" {
		name, p.company = p.company, ""
	}
	switch {
	case name == "" || name == number:
		return number
	case p.company == "":
		return text.Text(l, "party.name", number, name)
	default:
		return text.Text(l, "party.name-company", number, name, p.company)
	}
}

// caller is who called, made safe to show: names and numbers from outside are
// hostile text.
func caller(from pbx.Party, lookup func(number string) (name, company string)) party {
	p := party{number: cleanNumber(from.Number), name: works.CleanName(from.Name, maxName)}
	if name, company := lookup(p.number); name != "" || company != "" {
		p.name, p.company = works.CleanName(name, maxName), works.CleanName(company, maxName)
	}
	return p
}

// cleanNumber keeps what a telephone number consists of; a SIP user name that
// is none is treated like a name.
func cleanNumber(s string) string {
	if strings.Trim(s, "0123456789+-*#() ") == "" {
		return works.Truncate(strings.Join(strings.Fields(s), " "), maxDigits)
	}
	return works.CleanName(s, maxDigits)
}

// called is who is rung, as shown after the arrow: the extension, or the
// group or number that was dialled and rings it.
func called(c pbx.Call, extension string) string {
	switch {
	case c.To.Extension == extension, c.To.Number == "", c.To.Number == extension:
		return extension
	case c.To.Name != "":
		return cleanNumber(c.To.Number) + " (" + works.CleanName(c.To.Name, maxName) + ")"
	default:
		return cleanNumber(c.To.Number)
	}
}

// external reports whether the caller is outside the company.
func external(c pbx.Call) bool {
	return c.Direction == pbx.Inbound || c.From.Extension == "" && c.Direction != pbx.Internal
}

// actions are the buttons of a card in their order.
func actions(kind string) []Action {
	switch kind {
	case "external":
		return []Action{Desk, Assistant, Mobile, CallBack}
	case "internal":
		return []Action{Mobile, CallBack}
	default:
		return []Action{CallBack}
	}
}

// dialable is the caller's number for a call back, empty if there is none.
// Digits alone count: a caller who presents "*21" must not make the presser
// dial a feature code. Nor may one from outside present a number so short that
// it would lead to a colleague, or to the police.
func dialable(from pbx.Party) string {
	n := from.Number
	if from.Extension != "" {
		n = from.Extension
	}
	if strings.Trim(n, "0123456789+-() ") != "" || !strings.ContainsAny(n, "0123456789") || len(n) > maxNumber {
		return ""
	}
	if from.Extension == "" && len(n)-strings.Count(n, "-")-strings.Count(n, " ") < shortestOutside {
		return ""
	}
	return n
}

// timeOfDay is when a call began, in the tenant's time zone.
func timeOfDay(t time.Time, zone *time.Location) string {
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone).Format("15:04")
}
