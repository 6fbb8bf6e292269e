package call

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/dialplan"
)

var update = flag.Bool("update", false, "write the golden files anew")

func extensionOf(all []conf.Extension, number string) conf.Extension {
	i := slices.IndexFunc(all, func(e conf.Extension) bool { return e.Number == number })
	if i < 0 {
		return conf.Extension{Number: number}
	}
	return all[i]
}

var outsider = pbx.Party{Number: "010-9999-8888", Trunk: "one"}

// situations are the states in which each input is tried, each made by a few
// inputs. Leg c-1 and following are the dialled ones.
func situations() map[string]func() *sim {
	ringing := func() *sim { // the outside rings 101's two phones and 102's one
		m := arrive(outsider, "025550100")
		m.feed(start{})
		m.feed(legRinging{"c-1"})
		return m
	}
	talking := func() *sim {
		m := ringing()
		m.feed(legAnswered{"c-1"})
		m.now = m.now.Add(maxSilence)
		return m
	}
	with := func(base func() *sim, then func(*sim)) func() *sim {
		return func() *sim { m := base(); then(m); return m }
	}
	pressed := func(base func() *sim, to pbx.PullTo) func() *sim {
		return with(base, func(m *sim) { m.feed(m.press("101", to)) })
	}
	over := func(m *sim) {
		for _, l := range m.s.Legs {
			m.feed(legOver{Leg: l.ID})
		}
	}
	back := func() *sim {
		m := newSim(pbx.Party{Extension: "103", Number: "103"}, "101", true)
		m.s.Back = &Back{Phone: dialplan.Phone{Extension: "103"}}
		m.feed(start{})
		return m
	}
	return map[string]func() *sim{
		"01 new":     func() *sim { return arrive(outsider, "025550100") },
		"02 ringing": ringing,
		"03 one phone": func() *sim {
			m := arrive(outsider, "025550101")
			m.contacts["101"] = m.contacts["101"][:1]
			m.feed(start{})
			return m
		},
		"04 nobody there": func() *sim { m := arrive(outsider, "025550101"); m.contacts = nil; m.feed(start{}); return m },
		"05 to the outside": func() *sim {
			m := arrive(pbx.Party{Extension: "101", Number: "101"}, "901023456789")
			m.feed(start{})
			return m
		},
		"06 early media": func() *sim {
			m := arrive(pbx.Party{Extension: "101", Number: "101"}, "901023456789")
			m.feed(start{})
			m.feed(legProgress{"c-1"})
			return m
		},
		"07 talking":         talking,
		"08 held":            with(talking, func(m *sim) { m.feed(legHeld{"c-1", true}) }),
		"09 desk pull":       pressed(ringing, pbx.ToDesk),
		"10 mobile pull":     pressed(ringing, pbx.ToMobile),
		"11 confirming":      with(pressed(ringing, pbx.ToMobile), func(m *sim) { m.feed(legAnswered{"c-4"}) }),
		"12 moving":          with(pressed(talking, pbx.ToMobile), func(m *sim) { m.feed(legAnswered{"c-4"}) }),
		"13 moving, hung up": with(pressed(talking, pbx.ToMobile), func(m *sim) { m.feed(legOver{Leg: "c-1"}) }),
		"14 on the mobile":   with(pressed(ringing, pbx.ToMobile), func(m *sim) { m.feed(legAnswered{"c-4"}); m.feed(legDigit{"c-4", '1', true}) }),
		"15 call back":       back,
		"16 lifted":          with(back, func(m *sim) { m.feed(legAnswered{"c-1"}) }),
		"17 ending":          with(talking, func(m *sim) { m.feed(legOver{Leg: "in"}) }),
		"18 over":            with(talking, func(m *sim) { m.feed(legOver{Leg: "in"}); over(m) }),
	}
}

// inputs are tried in every situation.
func inputs(m *sim) []input {
	ids := []pbx.LegID{"in", "nobody"}
	for _, id := range []pbx.LegID{"c-1", "c-3", "c-4"} {
		if m.s.Leg(id) != nil {
			ids = append(ids, id)
		}
	}
	all := []input{
		start{},
		tick{},
		found{Ask: 99},
		replanned{Ask: 99},
		hangup{Ticket: 1},
		shutdown{},
		m.press("101", pbx.ToDesk), m.press("101", pbx.ToMobile), m.press("102", pbx.ToDesk), m.press("101", pbx.ToAssistant),
	}
	for _, id := range ids {
		all = append(all, legRinging{id}, legProgress{id}, legAnswered{id}, legHeld{id, true}, legHeld{id, false}, legDigit{id, '1', true},
			legDigit{id, '2', true}, legSilent{id}, legPlayed{id}, legMoved{id, "102"}, legOver{Leg: id, Cause: pbx.Cause{SIP: 486}},
			legOver{Leg: id, Cause: pbx.Cause{SIP: 603}}, legOver{Leg: id, Cause: pbx.Cause{SIP: 503}})
	}
	return all
}

// name is an input in one line.
func name(in input) string {
	switch in := in.(type) {
	case press:
		return fmt.Sprintf("press %s %s", in.Phone.Extension, in.To)
	case legDigit:
		return fmt.Sprintf("legDigit %s %c", in.Leg, in.Digit)
	case legOver:
		return fmt.Sprintf("legOver %s %d", in.Leg, in.Cause.SIP)
	case start, found, replanned, hangup:
		return strings.TrimPrefix(fmt.Sprintf("%T", in), "call.")
	default:
		return strings.NewReplacer("call.", "", "{", " ", "}", "").Replace(fmt.Sprintf("%T%v", in, in))
	}
}

// TestEdges tries every input in every situation and compares what comes of
// it with testdata/edges: one line per edge that leads somewhere, and all the
// inputs that mean nothing there.
func TestEdges(t *testing.T) {
	for situation, prepare := range situations() {
		t.Run(situation, func(t *testing.T) {
			var b strings.Builder
			var nothing []string
			for _, in := range inputs(prepare()) {
				m := prepare()
				before := asJSON(&m.s)
				actions := m.feed(in)
				after := asJSON(&m.s)
				if len(actions) == 0 && string(before) == string(after) {
					nothing = append(nothing, name(in))
					continue
				}
				fmt.Fprintf(&b, "%s => %s\n", name(in), m.s.Phase)
				for line := range strings.Lines(lines(actions)) {
					b.WriteString("\t" + line)
				}
			}
			fmt.Fprintf(&b, "nothing:\n\t%s\n", strings.Join(nothing, "\n\t"))
			path := filepath.Join("testdata", "edges", strings.ReplaceAll(situation, " ", "-")+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("edges (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDeadlines lets each situation time out until the call is over.
func TestDeadlines(t *testing.T) {
	for situation, prepare := range situations() {
		if strings.HasSuffix(situation, "new") {
			continue // has no deadline before it starts
		}
		t.Run(situation, func(t *testing.T) {
			m := prepare()
			for range 20 {
				at := m.s.Next()
				if at.IsZero() {
					break
				}
				if at.Before(m.now) {
					t.Fatalf("a deadline lies in the past: %s", m.now.Sub(at))
				}
				m.now = at
				for _, a := range m.feed(tick{}) {
					if e, ok := a.(end); ok {
						m.feed(legOver{Leg: e.Leg, Cause: e.Cause})
					}
				}
			}
			if m.s.Phase != pbx.CallOver {
				t.Errorf("the call is still %s, next deadline %s", m.s.Phase, m.s.Next())
			}
		})
	}
}

func TestStepFromAWrittenState(t *testing.T) {
	for situation, prepare := range situations() {
		m := prepare()
		for _, in := range inputs(m) {
			s, actions := after(m.s, m.now.Add(time.Second), in)
			if err := sameAfterJSON(m.s, m.now.Add(time.Second), in, s, actions); err != nil {
				t.Fatalf("%s, %s: %v", situation, name(in), err)
			}
		}
	}
}

func TestRefusedAtStart(t *testing.T) {
	m := arrive(outsider, "025559999")
	m.feed(start{m.refusal})
	want := "event started\nend in 404 Unknown number: no extension, group or flow has the number that was called\n"
	if got := lines(m.out); got != want {
		t.Errorf("got %s", got)
	}
	if m.s.To.Number != "025559999" {
		t.Errorf("to %+v", m.s.To)
	}
}

func TestLegsOfACallAreBounded(t *testing.T) {
	m := arrive(pbx.Party{Extension: "104", Number: "104"}, "101")
	m.feed(start{})
	for range 2 * maxLegs {
		m.now = m.now.Add(time.Millisecond)
		m.feed(m.press("101", pbx.ToMobile))
		last := m.s.Legs[len(m.s.Legs)-1]
		m.feed(legOver{Leg: last.ID, Cause: pbx.Cause{SIP: 486}})
	}
	if m.s.Made > maxLegs {
		t.Errorf("%d legs", m.s.Made)
	}
	m.feed(m.press("101", pbx.ToMobile))
	if got := lines(m.out); got != "reply limit\n" {
		t.Errorf("got %s", got)
	}
}
