package metrics

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

var start = time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)

func event(typ pbx.EventType, state pbx.CallState, after time.Duration) pbx.Event {
	return pbx.Event{
		Type: typ, Time: start.Add(after), Leg: "b",
		Call: pbx.Call{
			ID: "c", Direction: pbx.Inbound, State: state, Started: start,
			Legs: []pbx.Leg{{ID: "b", Quality: pbx.Quality{
				PacketsIn: 98, LostIn: 2, PacketsOut: 100, LostOut: 10, Foreign: 3, Malformed: 4,
				JitterIn: 3 * time.Millisecond, JitterOut: 30 * time.Millisecond, RoundTrip: 70 * time.Millisecond,
				MOSIn: 4.25, MOSOut: 3.5,
			}}},
		},
	}
}

func scrape(t *testing.T, s *Set) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

const tenant = `tenant="acme",tenant_namespace="ns"`

func wantLines(t *testing.T, got string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(got, strings.ReplaceAll(line, "TENANT", tenant)+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}

func TestACallFromStartToEnd(t *testing.T) {
	s := New("ns", "acme")
	s.Handle(event(pbx.EventStarted, pbx.CallRouting, 0))
	wantLines(t, scrape(t, s), `dipcast_calls{state="routing",TENANT} 1`)

	s.Handle(event(pbx.EventRinging, pbx.CallRinging, 20*time.Millisecond))
	s.Handle(event(pbx.EventRinging, pbx.CallRinging, 4*time.Second)) // a second phone
	wantLines(t, scrape(t, s),
		`dipcast_calls{state="routing",TENANT} 0`, `dipcast_calls{state="ringing",TENANT} 1`,
		`dipcast_call_setup_seconds_count{TENANT} 1`, `dipcast_call_setup_seconds_sum{TENANT} 0.02`)

	s.Handle(event(pbx.EventAnswered, pbx.CallActive, 5*time.Second))
	s.Handle(event(pbx.EventPulled, pbx.CallActive, 6*time.Second))
	failed := event(pbx.EventPullFailed, pbx.CallActive, 6*time.Second)
	failed.PullTo, failed.Err = pbx.ToMobile, pbx.Errorf(pbx.CodeBusy, "busy")
	s.Handle(failed)
	s.Handle(event(pbx.EventLegEnded, pbx.CallActive, 35*time.Second))
	over := event(pbx.EventEnded, pbx.CallOver, 35*time.Second)
	over.Call.Answered, over.Call.Ended = start.Add(5*time.Second), start.Add(35*time.Second)
	s.Handle(over)
	wantLines(t, scrape(t, s),
		`dipcast_calls{state="active",TENANT} 0`, `dipcast_calls{state="ringing",TENANT} 0`,
		`dipcast_calls_ended_total{direction="inbound",disposition="answered",TENANT} 1`,
		`dipcast_call_talk_seconds_sum{TENANT} 30`,
		`dipcast_pulls_total{result="busy",target="mobile",TENANT} 1`,
		`dipcast_rtp_loss_ratio_sum{direction="in",TENANT} 0.02`,
		`dipcast_rtp_loss_ratio_sum{direction="out",TENANT} 0.1`,
		`dipcast_rtp_jitter_seconds_sum{direction="out",TENANT} 0.03`,
		`dipcast_rtp_round_trip_seconds_sum{TENANT} 0.07`,
		`dipcast_rtp_mos_sum{direction="in",TENANT} 4.25`,
		`dipcast_rtp_mos_bucket{direction="out",TENANT,le="3.6"} 1`,
		`dipcast_rtp_refused_total{reason="foreign",TENANT} 3`,
		`dipcast_rtp_refused_total{reason="malformed",TENANT} 4`,
		`dipcast_rtp_packets_total{direction="in",TENANT} 98`)
	if len(s.states) != 0 || len(s.rang) != 0 {
		t.Errorf("the ended call is still kept: %v %v", s.states, s.rang)
	}
}

func TestAnOverCallIsCountedDownOnce(t *testing.T) {
	s := New("ns", "acme")
	s.Handle(event(pbx.EventStarted, pbx.CallRinging, 0))
	s.Handle(event(pbx.EventLegEnded, pbx.CallOver, time.Second))
	s.Handle(event(pbx.EventEnded, pbx.CallOver, time.Second))
	wantLines(t, scrape(t, s), `dipcast_calls{state="ringing",TENANT} 0`,
		`dipcast_calls_ended_total{direction="inbound",disposition="missed",TENANT} 1`)
	if len(s.states) != 0 || len(s.rang) != 0 {
		t.Errorf("the ended call is still kept: %v %v", s.states, s.rang)
	}
}

func TestConfigurationAndOthers(t *testing.T) {
	s := New("ns", "acme")
	s.Applied("1")
	s.Applied("2")
	s.Refused()
	s.Card(100 * time.Millisecond)
	s.Press(50 * time.Millisecond)
	s.Works("send", 429, time.Second)
	s.Gauge("registrations", "Registered phones.", func() float64 { return 41 })
	s.Counter("sip_dropped_total", "Dropped.", map[string]string{"reason": "ban"}, func() float64 { return 7 })
	got := scrape(t, s)
	wantLines(t, got, `dipcast_config_info{generation="2",TENANT} 1`, `dipcast_config_refused_total{TENANT} 1`,
		`dipcast_bot_card_seconds_sum{TENANT} 0.1`, `dipcast_bot_press_seconds_sum{TENANT} 0.05`,
		`dipcast_works_requests_total{operation="send",status="429",TENANT} 1`,
		`dipcast_registrations{TENANT} 41`, `dipcast_sip_dropped_total{reason="ban",TENANT} 7`)
	if strings.Contains(got, `generation="1"`) {
		t.Error("the old generation is still shown")
	}
}
