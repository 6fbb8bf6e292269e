package load

import (
	"testing"
	"time"
)

// times repeats a sample.
func times(n int, s Sample) []Sample {
	list := make([]Sample, n)
	for i := range list {
		list[i] = s
	}
	return list
}

func TestJudge(t *testing.T) {
	busy := func(cpu float64) Sample { return Sample{CPU: cpu, Wait: 16 * time.Millisecond} }
	lateBy := func(ms int) Sample { return Sample{Late: time.Duration(ms) * time.Millisecond} }
	for _, tc := range []struct {
		name    string
		samples [][]Sample
		want    Level
		cause   Cause
	}{
		{"nothing happens", [][]Sample{times(20, Sample{CPU: 0.5, Memory: 0.5})}, Normal, ""},
		{"busy for a moment", [][]Sample{times(3, busy(1))}, Normal, ""},
		{"busy, a moment's rest between", [][]Sample{times(3, busy(1)), times(1, busy(0.2)), times(3, busy(1))}, Normal, ""},
		{"busy and it shows", [][]Sample{times(4, busy(0.91))}, ShedPhones, Processor},
		{"busier", [][]Sample{times(4, busy(0.96))}, ShedTrunks, Processor},
		{"all is used", [][]Sample{times(4, busy(1))}, EmergencyOnly, Processor},
		{"all is used and nothing waits: a flood", [][]Sample{times(100, Sample{CPU: 1, Wait: 4 * time.Millisecond})}, Normal, ""},
		{"all is used and the media begins to be late", [][]Sample{times(4, Sample{CPU: 0.92, Late: 24 * time.Millisecond})}, ShedPhones, Processor},
		{"the least of the last samples counts", [][]Sample{times(3, busy(1)), times(1, busy(0.91))}, ShedPhones, Processor},
		{"the media is late once", [][]Sample{times(4, lateBy(500)), times(5, lateBy(1))}, Normal, ""},
		{"the media is late", [][]Sample{times(6, lateBy(55))}, ShedPhones, Media},
		{"the media is very late", [][]Sample{times(6, lateBy(101))}, ShedTrunks, Media},
		{"the media stands still", [][]Sample{times(6, lateBy(300))}, EmergencyOnly, Media},
		{"the media is late in a flood of strangers", [][]Sample{times(20, Sample{Late: time.Second, CPU: 1, Strangers: 5000})}, Normal, ""},
		{"memory counts in a flood, too", [][]Sample{times(1, Sample{Memory: 0.9, Strangers: 5000})}, ShedPhones, Memory},
		{"memory counts at once", [][]Sample{times(1, Sample{Memory: 0.9})}, ShedPhones, Memory},
		{"memory is nearly gone", [][]Sample{times(1, Sample{Memory: 0.98})}, EmergencyOnly, Memory},
		{"many transactions", [][]Sample{times(1, Sample{Transactions: 0.7})}, ShedPhones, Transactions},
		{"the worst signal decides", [][]Sample{times(1, Sample{Transactions: 0.7, Memory: 0.94})}, ShedTrunks, Memory},
		{"over, but not for long enough", [][]Sample{times(4, busy(0.91)), times(9, Sample{})}, ShedPhones, Processor},
		{"over", [][]Sample{times(4, busy(0.91)), times(10, Sample{})}, Normal, ""},
		{"given back level by level", [][]Sample{times(4, busy(1)), times(10, Sample{})}, ShedTrunks, Processor},
		{"all given back", [][]Sample{times(4, busy(1)), times(30, Sample{})}, Normal, ""},
		{"just below the threshold is not over", [][]Sample{times(4, busy(0.91)), times(100, busy(0.8))}, ShedPhones, Processor},
		{"a relapse starts the rest anew", [][]Sample{times(4, busy(0.91)), times(9, Sample{}), times(1, busy(0.8)), times(9, Sample{})}, ShedPhones, Processor},
		{"half of the way back", [][]Sample{times(1, Sample{Memory: 0.98}), times(10, Sample{Memory: 0.80})}, ShedTrunks, Memory},
		{"no further", [][]Sample{times(1, Sample{Memory: 0.98}), times(100, Sample{Memory: 0.80})}, ShedTrunks, Memory},
		{"nor to the end", [][]Sample{times(1, Sample{Memory: 0.98}), times(100, Sample{Memory: 0.76})}, ShedPhones, Memory},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := NewJudge()
			var level Level
			var cause Cause
			for _, list := range tc.samples {
				for _, s := range list {
					level, cause = j.Next(s)
				}
			}
			if level != tc.want || cause != tc.cause {
				t.Errorf("%s, since %q; want %s, since %q", level, cause, tc.want, tc.cause)
			}
		})
	}
}

// TestLevelsAreGivenBackOneByOne: whatever comes, a level changes down by one at a
// time, and none lies outside of what there is.
func TestLevelsAreGivenBackOneByOne(t *testing.T) {
	j := NewJudge()
	before := Normal
	for i := range 5000 {
		s := Sample{Memory: float64(i*7%100) / 100, Late: time.Duration(i*13%300) * time.Millisecond}
		if i/100%2 == 1 {
			s = Sample{}
		}
		level, cause := j.Next(s)
		if level < Normal || level > EmergencyOnly || level < before-1 || (cause == "") != (level == Normal) {
			t.Fatalf("sample %d: from %d to %d since %q", i, before, level, cause)
		}
		before = level
	}
}
