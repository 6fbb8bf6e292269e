package pbx

import (
	"math"
	"testing"
	"time"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// ITU-T G.107, Table B.1: the rating and the opinion that belongs to it.
func TestOpinionIsThatOfTheStandard(t *testing.T) {
	for r, want := range map[float64]float64{
		-5: 1, 0: 1, 50: 2.58, 60: 3.10, 70: 3.60, 80: 4.03, 90: 4.34, 93.2: 4.41, 100: 4.5, 120: 4.5,
	} {
		if got := opinion(r); !near(got, want, 0.01) {
			t.Errorf("R = %v: %.3f, want %.2f", r, got, want)
		}
	}
	for r := 0.; r < 100; r++ {
		if got := opinion(r); got < 1 || got > 4.5 {
			t.Errorf("R = %v: %v", r, got)
		}
	}
}

// ITU-T G.113 Appendix I: impairment by random loss, as it was measured; the
// formula of G.107 is an approximation of it.
func TestLossIsThatOfTheStandard(t *testing.T) {
	for _, tt := range []struct {
		codec string
		loss  float64
		want  float64
	}{
		{"PCMA", 0, 0},
		{"PCMU", 0.01, 5},
		{"PCMA", 0.02, 7},
		{"PCMA", 0.03, 10},
		{"PCMA", 0.05, 15},
		{"pcma", 0.10, 25},
		{"G729", 0, 11},
		{"G729", 0.01, 15},
		{"G729", 0.02, 19},
		{"G729", 0.03, 23},
		{"G729", 0.04, 26},
		{"G723", 0, 15},
		{"G723", 0.01, 19},
		{"G723", 0.02, 24},
		{"G723", 0.03, 27},
		{"GSM-EFR", 0, 5},
		{"opus", 0, 0},
		{"", 0, 0},
	} {
		if got := impairedByLoss(tt.codec, tt.loss); !near(got, tt.want, 2.2) || tt.loss == 0 && got != tt.want {
			t.Errorf("%s at %v: %.1f, want %v", tt.codec, tt.loss, got, tt.want)
		}
	}
}

// By hand from equations 7-27 and 7-28 of G.107.
func TestDelayIsThatOfTheStandard(t *testing.T) {
	for ms, want := range map[int]float64{0: 0, 100: 0, 150: 0.16, 200: 3.04, 300: 14.8, 400: 24.1, 500: 30.9} {
		if got := impairedByDelay(time.Duration(ms) * time.Millisecond); !near(got, want, 0.5) {
			t.Errorf("%d ms: %.2f, want %.2f", ms, got, want)
		}
	}
}

func TestMOS(t *testing.T) {
	for _, tt := range []struct {
		name  string
		codec string
		loss  float64
		delay time.Duration
		want  float64
	}{
		{"nothing impaired", "PCMA", 0, 0, 4.41},
		{"the same by µ-law", "PCMU", 0, 100 * time.Millisecond, 4.41},
		{"two per cent lost", "PCMA", 0.02, 0, 4.22},
		{"a tenth lost", "PCMA", 0.10, 0, 3.39},
		{"by satellite", "PCMA", 0, 300 * time.Millisecond, 3.96},
		{"G.729", "G729", 0, 0, 4.1},
		{"all lost", "PCMA", 1, 0, 1.18},
		{"nonsense is cut off", "PCMA", 7, -time.Second, 1.18},
	} {
		if got := MOS(tt.codec, tt.loss, tt.delay); !near(got, tt.want, 0.1) {
			t.Errorf("%s: %.3f, want %.2f", tt.name, got, tt.want)
		}
	}
}

func TestEachDirectionIsRatedByItself(t *testing.T) {
	q := Quality{
		Codec: "PCMA", PacketsIn: 900, LostIn: 100, PacketsOut: 1000, LostOut: 0,
		JitterIn: 5 * time.Millisecond, RoundTrip: 40 * time.Millisecond,
	}.Rated()
	if !near(q.MOSIn, 3.39, 0.1) || q.MOSOut != 4.41 {
		t.Errorf("in %v, out %v", q.MOSIn, q.MOSOut)
	}
	if slow := (Quality{PacketsOut: 10, RoundTrip: 800 * time.Millisecond, JitterOut: 20 * time.Millisecond}).Rated(); slow.MOSOut > 3.4 || slow.MOSIn != 0 {
		t.Errorf("in %v, out %v", slow.MOSIn, slow.MOSOut)
	}
	if none := (Quality{LostIn: 3}).Rated(); none.MOSIn != 0 || none.MOSOut != 0 {
		t.Errorf("without packets: in %v, out %v", none.MOSIn, none.MOSOut)
	}
}
