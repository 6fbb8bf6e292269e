package load

import (
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"time"
)

// Sources is what a Meter reads beside the Go runtime.
type Sources struct {
	// Root is the file system of the machine, for the control group; nil
	// takes it that there is none.
	Root fs.FS
	// Late is the most by which the media ran late in the last second or two;
	// nil = not known.
	Late func() time.Duration
	// Transactions is the used share of the places for SIP transactions; nil
	// = not known.
	Transactions func() float64
	// Strangers counts messages of those who have proven nothing; it falls by
	// those of who did a moment later. nil = not known.
	Strangers func() int64
	Now       func() time.Time
}

// Meter measures this process. It is not for use by several goroutines.
type Meter struct {
	from    Sources
	group   *group
	runtime []metrics.Sample
	waits   []uint64 // counts of the histogram when it was read last
	at      time.Time
	used    time.Duration // processor time until then
	seen    int64         // strangers until then
}

// The runtime's metrics that are read, in this order.
const (
	metricWait  = "/sched/latencies:seconds"
	metricLive  = "/gc/heap/live:bytes"
	metricStack = "/memory/classes/heap/stacks:bytes"
)

// NewMeter begins to measure.
func NewMeter(from Sources) *Meter {
	m := &Meter{from: from, group: findGroup(from.Root), at: from.Now()}
	for _, name := range []string{metricWait, metricLive, metricStack} {
		m.runtime = append(m.runtime, metrics.Sample{Name: name})
	}
	m.used = processTime()
	metrics.Read(m.runtime)
	m.wait()
	return m
}

// Read returns what happened since it was called last, or since NewMeter.
func (m *Meter) Read() Sample {
	metrics.Read(m.runtime)
	now, used := m.from.Now(), processTime()
	s := Sample{Wait: m.wait(), Memory: max(m.group.memory(), m.heap())}
	if d := now.Sub(m.at); d > 0 {
		s.CPU = min(1, float64(used-m.used)/float64(d)/m.processors())
		s.Strangers = m.strangers(d)
	}
	m.at, m.used = now, used
	if m.from.Late != nil {
		s.Late = m.from.Late()
	}
	if m.from.Transactions != nil {
		s.Transactions = m.from.Transactions()
	}
	return s
}

// strangers is the rate of their messages in the last d.
func (m *Meter) strangers(d time.Duration) float64 {
	if m.from.Strangers == nil {
		return 0
	}
	before := m.seen
	m.seen = m.from.Strangers()
	return max(0, float64(m.seen-before)/d.Seconds())
}

// processors is how many this process may keep busy.
func (m *Meter) processors() float64 {
	n := float64(runtime.GOMAXPROCS(0))
	if m.group.cpus > 0 {
		n = min(n, m.group.cpus)
	}
	return n
}

// heap is the used share of the memory limit that the Go runtime was given.
// Garbage does not count: the runtime collects it when the limit comes near.
func (m *Meter) heap() float64 {
	limit := debug.SetMemoryLimit(-1)
	if limit <= 0 || limit == math.MaxInt64 {
		return 0
	}
	return float64(m.runtime[1].Value.Uint64()+m.runtime[2].Value.Uint64()) / float64(limit)
}

// wait returns how long all but 1 % of the goroutines that became ready since
// the last call waited for a processor.
func (m *Meter) wait() time.Duration {
	h := m.runtime[0].Value.Float64Histogram()
	if m.waits == nil {
		m.waits = make([]uint64, len(h.Counts))
	}
	var all uint64
	for i, n := range h.Counts {
		m.waits[i] = n - m.waits[i]
		all += m.waits[i]
	}
	bound, seen := 0.0, uint64(0)
	for i := range m.waits {
		seen += m.waits[i]
		if all > 0 && seen*100 >= all*99 {
			bound = h.Buckets[i] // the lower end: what they waited at least
			break
		}
	}
	copy(m.waits, h.Counts)
	if math.IsInf(bound, 0) {
		return 0
	}
	return time.Duration(bound * float64(time.Second))
}

// processTime is the processor time that this process has used.
func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// softShare is the part of the control group's memory that the Go runtime may
// fill before it collects garbage at any price.
const softShare = 0.8

// LimitMemory gives the Go runtime a limit below that of the control group, so
// that garbage is collected before the kernel ends the process, unless somebody
// set one (GOMEMLIMIT). It returns the limit in force in bytes, 0 without one.
func LimitMemory(root fs.FS) int64 {
	if set := debug.SetMemoryLimit(-1); set != math.MaxInt64 {
		return set
	}
	g := findGroup(root)
	if g.limit == 0 {
		return 0
	}
	limit := int64(float64(g.limit) * softShare)
	debug.SetMemoryLimit(limit)
	return limit
}

func (s Sample) String() string {
	return fmt.Sprintf("processors %.0f %%, memory %.0f %%, media late %s, waits %s, transactions %.0f %%",
		100*s.CPU, 100*s.Memory, s.Late.Round(time.Millisecond), s.Wait.Round(time.Millisecond), 100*s.Transactions)
}
