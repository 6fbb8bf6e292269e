package load

import "time"

// Level says who may still begin a call. Each level refuses what the one
// before refuses, too. Calls that are up, and phones that renew their
// registrations, are served at every level; so are calls to emergency numbers.
type Level int

// The levels, from no load to the most.
const (
	Normal        Level = iota // everybody
	ShedPhones                 // phones may not
	ShedTrunks                 // nor trunks
	EmergencyOnly              // and nobody registers anew
)

func (l Level) String() string {
	switch l {
	case Normal:
		return "normal"
	case ShedPhones:
		return "new calls of phones are refused"
	case ShedTrunks:
		return "new calls of phones and trunks are refused"
	}
	return "only emergency calls may begin"
}

// Interval is the time between two samples.
const Interval = 500 * time.Millisecond

// Sample is what was seen in one Interval. Shares are between 0 and 1.
type Sample struct {
	CPU          float64       // of what the process may use; 0 if unknown
	Memory       float64       // of the limit; 0 without one
	Late         time.Duration // the most by which the media ran late
	Wait         time.Duration // for a processor, of all but 1 % of what was to run
	Transactions float64       // of the places for SIP transactions
	Strangers    float64       // messages a second of those who proved nothing
}

// Cause is what a level is due to; its text has no number, so that it stays
// the same as long as the cause does.
type Cause string

// The causes.
const (
	Processor    Cause = "the processors are busy"
	Memory       Cause = "memory is short"
	Media        Cause = "the media runs late"
	Transactions Cause = "too many SIP transactions are open"
)

// signal is one of the things that are judged.
type signal struct {
	cause Cause
	value func(*Sample) float64
	// from are the values at which each level above Normal begins.
	from [3]float64
	// steady is for how many samples in a row: a hiccup is no overload, but
	// memory that has run out does not come back.
	steady int
}

// falls is the part of a level's threshold under which it ends.
const falls = 0.85

// calm is how many samples must lie under it before one level is given back.
const calm = 10

// history is the longest steady. The media tells its worst of the last second
// or two, so that one hiccup is seen in four samples.
const history = 6

func signals() [4]signal {
	return [4]signal{
		{Processor, (*Sample).processor, [3]float64{0.90, 0.95, 0.98}, 4},
		{Memory, func(s *Sample) float64 { return s.Memory }, [3]float64{0.88, 0.93, 0.97}, 1},
		{Media, (*Sample).media, [3]float64{0.050, 0.100, 0.200}, history},
		{Transactions, func(s *Sample) float64 { return s.Transactions }, [3]float64{0.60, 0.80, 0.90}, 1},
	}
}

// flood is how many messages of strangers a second are one. Then it is not calls
// that there is too much of: to refuse them would help nobody but whoever
// floods. Phones that come all at once are none: they prove who they are.
const flood = 2000

// What must wait before a busy processor counts: one that is all used but
// keeps up carries what it can, and a flood of strangers, who cost processor
// time and nothing else, must not have calls refused.
const (
	waits = 10 * time.Millisecond
	late  = 20 * time.Millisecond
)

func (s *Sample) processor() float64 {
	if s.Strangers >= flood || s.Wait < waits && s.Late < late {
		return 0
	}
	return s.CPU
}

func (s *Sample) media() float64 {
	if s.Strangers >= flood {
		return 0
	}
	return s.Late.Seconds()
}

// Judge turns samples into a level. It is not for use by several goroutines.
type Judge struct {
	signals [4]signal
	past    [4][history]Level // what each signal asked for, newest first
	level   Level
	cause   Cause
	calm    int
}

// NewJudge begins at Normal.
func NewJudge() *Judge { return &Judge{signals: signals()} }

// Next takes one sample and returns the level from now on, with its cause,
// which is empty at Normal.
func (j *Judge) Next(s Sample) (Level, Cause) {
	wanted, holds := Normal, Normal
	var why Cause
	for i := range j.signals {
		of := &j.signals[i]
		v := of.value(&s)
		past := &j.past[i]
		copy(past[1:], past[:])
		past[0] = of.level(v)
		if l := least(past[:of.steady]); l > wanted {
			wanted, why = l, of.cause
		}
		holds = max(holds, of.level(v/falls))
	}
	switch {
	case wanted > j.level:
		j.level, j.cause, j.calm = wanted, why, 0
	case holds >= j.level:
		j.calm = 0
	default:
		j.rest()
	}
	return j.level, j.cause
}

// rest counts a quiet sample; after enough of them one level is given back.
func (j *Judge) rest() {
	if j.calm++; j.calm < calm {
		return
	}
	j.calm = 0
	if j.level--; j.level == Normal {
		j.cause = ""
	}
}

// level is what a value asks for.
func (of *signal) level(v float64) Level {
	l := Normal
	for _, from := range of.from {
		if v >= from {
			l++
		}
	}
	return l
}

func least(past []Level) Level {
	l := past[0]
	for _, p := range past[1:] {
		l = min(l, p)
	}
	return l
}
