package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
)

// get asks the program's REST interface.
func (p *program) get(path string, into any) error {
	req, err := http.NewRequestWithContext(within(p.t), http.MethodGet,
		fmt.Sprintf("http://127.0.0.1:%d/api/v1%s", p.doc.Network.Ports.HTTP, path), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.doc.Web.APIToken.Reveal())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", path, res.StatusCode)
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// records waits until the program has so many call records, and returns them.
func (p *program) records(n int) []pbx.CDR {
	p.t.Helper()
	var all []pbx.CDR
	waitFor(p.t, fmt.Sprintf("%d call records", n), func() bool {
		all = nil
		for next := ""; ; {
			var page pbx.CDRPage
			if err := p.get("/cdrs?limit=1000&cursor="+url.QueryEscape(next), &page); err != nil {
				return false
			}
			all = append(all, page.Records...)
			if next = page.Next; next == "" {
				return len(all) >= n
			}
		}
	})
	return all
}

// registered returns phones of 101 and 102.
func (p *program) registered() (one, two *phone.Phone) {
	p.t.Helper()
	one, two = p.phone("101", passwords["101"]), p.phone("102", passwords["102"])
	for _, ph := range []*phone.Phone{one, two} {
		if err := ph.Register(within(p.t), time.Hour); err != nil {
			p.t.Fatal(err)
		}
	}
	return one, two
}

// connect lets one call two and returns both ends of the call.
func (p *program) connect(one, two *phone.Phone, number string) (caller, callee *phone.Call) {
	p.t.Helper()
	caller, err := one.Dial(within(p.t), number, phone.DialOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	callee = rings(p.t, two)
	answer(p.t, callee)
	if err := caller.WaitAnswered(within(p.t)); err != nil {
		p.t.Fatal(err)
	}
	return caller, callee
}

// converse proves audio both ways.
func converse(t *testing.T, a, b *phone.Call, hzA, hzB float64) {
	t.Helper()
	a.Play(tone.Sine(hzA, loud))
	b.Play(tone.Sine(hzB, loud))
	hears(t, b, "the callee", hzA)
	hears(t, a, "the caller", hzB)
}

// A call goes on when the program is killed and begun again: audio, hold,
// hanging up from either side, and its record.
func TestACallOutlivesTheProcess(t *testing.T) {
	p := newProgram(t)
	p.start()
	one, two := p.registered()
	for name, hangUp := range map[string]func(caller, callee *phone.Call) (other *phone.Call, err error){
		"the caller hangs up": func(a, b *phone.Call) (*phone.Call, error) { return b, a.Hangup(within(t)) },
		"the callee hangs up": func(a, b *phone.Call) (*phone.Call, error) { return a, b.Hangup(within(t)) },
	} {
		before := len(p.records(0))
		caller, callee := p.connect(one, two, "102")
		converse(t, caller, callee, 440, 660)
		p.kill()
		p.start()
		converse(t, caller, callee, 880, 1200)
		if err := callee.Hold(within(t)); err != nil {
			t.Errorf("hold after the restart: %v", err)
		}
		if err := callee.Resume(within(t)); err != nil {
			t.Errorf("the end of a hold after the restart: %v", err)
		}
		converse(t, caller, callee, 500, 700)
		other, err := hangUp(caller, callee)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := other.WaitEnded(within(t)); err != nil {
			t.Errorf("%s: the other side: %v", name, err)
		}
		records := p.records(before + 1)
		if len(records) != before+1 {
			t.Fatalf("%s: %d records, want %d", name, len(records), before+1)
		}
		if r := records[0]; r.Disposition != pbx.Answered || r.Cause.Q850 != 16 || r.Talk() <= 0 || len(r.Legs) != 2 || r.Legs[0].Quality.PacketsIn == 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
