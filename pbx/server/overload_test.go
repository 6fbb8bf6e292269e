package server

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/load"
)

// TestOverloadIsTold: the report says what is refused and why in text that
// stays the same, and the log has one line for each change.
func TestOverloadIsTold(t *testing.T) {
	var log bytes.Buffer
	s, err := New(t.Context(), Options{Document: guarded(), DataDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	judge := load.NewJudge()
	for _, tc := range []struct {
		memory float64
		want   string
	}{
		{0, ""},
		{0.90, "new calls of phones are refused: memory is short"},
		{0.91, "new calls of phones are refused: memory is short"},
		{0.94, "new calls of phones and trunks are refused: memory is short"},
		{0.99, "only emergency calls may begin: memory is short"},
	} {
		s.judge(judge, load.Sample{Memory: tc.memory})
		r := s.Report()
		if r.Overload != tc.want || (r.Scarce == conf.ScarceMemory) != (tc.want != "") {
			t.Errorf("%v: the report says %q for lack of %q, want %q", tc.memory, r.Overload, r.Scarce, tc.want)
		}
	}
	for range 100 {
		s.judge(judge, load.Sample{})
	}
	if r := s.Report(); r.Overload != "" || r.Scarce != "" {
		t.Errorf("afterwards it says %q for lack of %q", r.Overload, r.Scarce)
	}
	if n := strings.Count(log.String(), "overload:"); n != 5 || strings.Count(log.String(), "the load is over") != 1 {
		t.Errorf("three steps up and three down are these lines:\n%s", &log)
	}
}
