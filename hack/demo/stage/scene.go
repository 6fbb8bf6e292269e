package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

// What each side of the demo's call says, in Hz.
const (
	callerTone = 440
	mobileTone = 660
	volume     = 0.5 // of full scale
)

// The people of the demo.
const (
	employee = "haneul@acme.example" // 101
	mobile   = "내 모바일로 당겨 받기"
)

// Place is where everything is. All fields are needed.
type Place struct {
	SIP     string       // ADDRESS:PORT of the PBX
	Console string       // URL of console and REST interface
	Works   string       // URL of the simulated NAVER WORKS
	Phones  string       // ADDRESS:PORT that a phone listens on, port 0
	Carrier string       // ADDRESS:PORT of the telephone company
	Client  *http.Client // for both URLs
	// Token gives the bearer token of the REST interface.
	Token func() (string, error)
}

// Scene is the cast of the demo: two desk phones and the telephone company,
// which plays the outside caller and the employee's mobile.
type Scene struct {
	place                 Place
	tell                  Teller
	desk, second, carrier *phone.Phone
}

// New registers the phones.
func New(ctx context.Context, place Place, tell Teller) (*Scene, error) {
	s := &Scene{place: place, tell: tell}
	var errs [3]error
	s.desk, errs[0] = phone.New(phone.Config{
		User: "101", Password: "demo-haneul-7Qm2vXc9", Domain: "acme.pbx.example.com", Server: place.SIP,
		Listen: place.Phones,
	})
	s.second, errs[1] = phone.New(phone.Config{
		User: "102", Password: "demo-bada-4Tz8kWn1", Domain: "acme.pbx.example.com", Server: place.SIP,
		Listen: place.Phones,
	})
	s.carrier, errs[2] = phone.New(phone.Config{User: "carrier", Listen: place.Carrier})
	if err := errors.Join(errs[:]...); err != nil {
		s.Close()
		return nil, err
	}
	for _, p := range []*phone.Phone{s.desk, s.second} {
		if err := p.Register(ctx, time.Hour); err != nil {
			s.Close()
			return nil, fmt.Errorf("a phone cannot register: %w", err)
		}
	}
	s.tell.Step("Phones 101 and 102 are registered (digest SHA-256)")
	return s, nil
}

// Close ends the phones.
func (s *Scene) Close() {
	for _, p := range []*phone.Phone{s.desk, s.second, s.carrier} {
		if p != nil {
			p.Close()
		}
	}
}

// Play is the whole story.
func (s *Scene) Play(ctx context.Context) error {
	caller, err := s.carrier.Dial(ctx, "sip:025550101@"+s.place.SIP, phone.DialOptions{From: "01099998888", FromName: "홍길동"})
	if err != nil {
		return err
	}
	caller.Play(tone.Sine(callerTone, volume))
	s.tell.Step("010-9999-8888 calls 02-555-0101")
	ringing, err := s.desk.WaitIncoming(ctx)
	if err != nil {
		return fmt.Errorf("the desk phone does not ring: %w", err)
	}
	if err := ringing.Ring(); err != nil {
		return err
	}
	s.tell.Note("the desk phone 101 rings")
	card, err := s.waitCard(ctx)
	if err != nil {
		return fmt.Errorf("no card arrived: %w", err)
	}
	s.show(card)
	pressed := time.Now()
	if err := s.press(ctx, card, mobile); err != nil {
		return err
	}
	s.tell.Step("김하늘 presses %q", mobile)
	answered, err := s.carrier.WaitIncoming(ctx)
	if err != nil {
		return fmt.Errorf("the mobile does not ring: %w", err)
	}
	s.tell.Note("the mobile %s rings %d ms after the press, shown number %s", answered.Dialled(),
		time.Since(pressed).Milliseconds(), answered.State().PeerNumber)
	if err := s.talk(ctx, caller, answered, ringing); err != nil {
		return err
	}
	if err := caller.Hangup(ctx); err != nil {
		return err
	}
	s.tell.Step("The caller hangs up; the record of the call:")
	return s.record(ctx)
}

// talk answers the mobile, presses 1 and proves who hears whom.
func (s *Scene) talk(ctx context.Context, caller, answered, desk *phone.Call) error {
	if err := answered.Answer(ctx); err != nil {
		return err
	}
	answered.Play(tone.Sine(mobileTone, volume))
	if err := answered.SendDTMF(ctx, "1"); err != nil {
		return err
	}
	s.tell.Note("the mobile is answered, key 1 is pressed")
	if err := caller.WaitTone(ctx, mobileTone); err != nil {
		return fmt.Errorf("the caller does not hear the mobile (%d Hz): %w", mobileTone, err)
	}
	if err := answered.WaitTone(ctx, callerTone); err != nil {
		return fmt.Errorf("the mobile does not hear the caller (%d Hz): %w", callerTone, err)
	}
	s.tell.Step("Proven by tones: the caller hears %d Hz from the mobile, the mobile hears %d Hz from the caller", mobileTone, callerTone)
	if _, err := desk.WaitEnded(ctx); err != nil {
		return fmt.Errorf("the desk phone still rings: %w", err)
	}
	s.tell.Note("the desk phone stopped ringing (%s)", desk.EndHeader("Reason"))
	return nil
}

// waitCard returns the first message with buttons in the employee's chat.
func (s *Scene) waitCard(ctx context.Context) (sim.Message, error) {
	q := url.Values{"user": {employee}, "wait": {"20s"}}
	var messages []sim.Message
	if err := s.get(ctx, s.place.Works+"/sim/messages?"+q.Encode(), "", &messages); err != nil {
		return sim.Message{}, err
	}
	for _, m := range messages {
		if len(m.Buttons) > 0 {
			return m, nil
		}
	}
	return sim.Message{}, errors.New("the chat holds no card")
}

// show prints a card as the chat shows it.
func (s *Scene) show(m sim.Message) {
	s.tell.Step("The card in 김하늘's chat:")
	s.tell.Note("┌ %s", m.Text.Text)
	for _, b := range m.Buttons {
		s.tell.Note("│ [ %s ]", b.Label.Text)
	}
	s.tell.Note("└")
}

// press presses the button with that label.
func (s *Scene) press(ctx context.Context, m sim.Message, label string) error {
	for i, b := range m.Buttons {
		if b.Label.Text != label {
			continue
		}
		body, err := json.Marshal(map[string]any{"user": employee, "message": m.Index, "button": i})
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.place.Works+"/sim/press", bytes.NewReader(body))
		if err != nil {
			return err
		}
		return s.do(req, nil)
	}
	return fmt.Errorf("the card has no button %q", label)
}

// record prints the call's CDR as the REST interface gives it.
func (s *Scene) record(ctx context.Context) error {
	token, err := s.place.Token()
	if err != nil {
		return err
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		var page pbx.CDRPage
		if err := s.get(ctx, s.place.Console+"/api/v1/cdrs", token, &page); err != nil {
			return err
		}
		if len(page.Records) > 0 {
			c := page.Records[0]
			s.tell.Note("%s  %s → %s  %s, answered by %s, pulled by %s to %s, %.1f s of talk", c.Started.Format(time.RFC3339),
				c.From.Number, c.To.Number, c.Disposition, c.AnsweredBy.Number, c.PulledBy, c.PulledTo, c.Talk().Seconds())
			for _, l := range c.Legs {
				s.tell.Note("  leg %-8s %-15s %4d packets in, %4d out, %d lost, jitter %s", l.Role, l.Party.Number,
					l.Quality.PacketsIn, l.Quality.PacketsOut, l.Quality.LostIn, l.Quality.JitterIn.Round(10*time.Microsecond))
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no record of the call: %w", ctx.Err())
		case <-again.C:
		}
	}
}

func (s *Scene) get(ctx context.Context, address, token string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return s.do(req, into)
}

func (s *Scene) do(req *http.Request, into any) error {
	resp, err := s.place.Client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s: %s", req.Method, req.URL.Path, resp.Status, body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}
