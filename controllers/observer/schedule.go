package observer

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

// entry is one target with what is known of it. The observer's mutex guards it.
type entry struct {
	target Target
	seen   Observation
	told   Observation // when Changed was last called
	toldAt time.Time

	due    time.Time
	place  int  // in its schedule, -1 when it is in none
	lane   bool // the schedule is that of failing targets
	cancel context.CancelFunc
	again  bool          // ask once more as soon as the request under way has ended
	step   time.Duration // last interval while somebody waits, or of a retry
	failed int           // in a row
	gone   bool          // forgotten, or another process took its place
}

// hurried reports whether somebody waits for this PBX.
func (e *entry) hurried() bool {
	if e.target.Urgent {
		return true
	}
	if e.target.Await == "" {
		return false
	}
	r := e.seen.Report
	return r == nil || r.Generation != e.target.Await && r.RefusedGeneration != e.target.Await
}

// schedule is a heap of entries, the next one first.
type schedule []*entry

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due.Before(s[j].due) }
func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].place, s[j].place = i, j
}

// Push implements heap.Interface.
func (s *schedule) Push(x any) {
	if e, ok := x.(*entry); ok {
		e.place = len(*s)
		*s = append(*s, e)
	}
}

// Pop implements heap.Interface.
func (s *schedule) Pop() any {
	last := len(*s) - 1
	e := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	e.place = -1
	return e
}

// plan puts an entry into its schedule at a time; one whose request is under
// way is planned once that has ended. The lock is held.
func (o *Observer) plan(e *entry, due time.Time) {
	if e.cancel != nil {
		e.again = true
		return
	}
	o.unplan(e)
	e.due, e.lane = due, e.failed > 0
	heap.Push(o.schedule(e), e)
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// unplan takes an entry out of its schedule. The lock is held.
func (o *Observer) unplan(e *entry) {
	if e.place >= 0 {
		heap.Remove(o.schedule(e), e.place)
	}
}

func (o *Observer) schedule(e *entry) *schedule {
	if e.lane {
		return &o.failing
	}
	return &o.answering
}

// remove ends everything about an entry. The lock is held.
func (o *Observer) remove(e *entry) {
	o.unplan(e)
	e.gone = true
	if e.cancel != nil {
		e.cancel()
	}
}

// Start implements manager.Runnable: it polls until ctx is done and returns
// once every request has ended.
func (o *Observer) Start(ctx context.Context) error {
	var requests sync.WaitGroup
	defer o.transport.CloseIdleConnections()
	defer requests.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.wake:
		case <-timer.C:
		}
		for e := o.next(); e != nil; e = o.next() {
			requests.Go(func() { o.poll(ctx, e) })
		}
		timer.Reset(o.pause())
	}
}

// next takes the entry that is due and may be asked now, nil if there is none.
func (o *Observer) next() *entry {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy >= o.opts.Workers {
		return nil
	}
	now := time.Now()
	for _, s := range o.allowed() {
		if len(*s) > 0 && !(*s)[0].due.After(now) {
			e, _ := heap.Pop(s).(*entry)
			o.busy++
			if e.lane {
				o.busyFailing++
			}
			e.cancel = func() {} // it is under way; poll sets the real one
			return e
		}
	}
	return nil
}

// allowed lists the schedules that may get one more request. The lock is held.
func (o *Observer) allowed() []*schedule {
	if o.busyFailing < max(1, o.opts.Workers/2) {
		return []*schedule{&o.answering, &o.failing}
	}
	return []*schedule{&o.answering}
}

// pause is how long the scheduler may sleep: until the next entry is due, or,
// with every worker busy, until one has ended and wakes it.
func (o *Observer) pause() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	wait := time.Hour
	if o.busy >= o.opts.Workers {
		return wait
	}
	for _, s := range o.allowed() {
		if len(*s) > 0 {
			wait = min(wait, time.Until((*s)[0].due))
		}
	}
	return max(wait, 0)
}

// poll asks one target and plans its next time.
func (o *Observer) poll(ctx context.Context, e *entry) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	o.mu.Lock()
	e.cancel = cancel
	target, gone := e.target, e.gone
	o.mu.Unlock()
	var report *conf.Report
	var err error
	if !gone {
		report, err = o.ask(ctx, target)
	}
	o.mu.Lock()
	o.busy--
	if e.lane {
		o.busyFailing--
	}
	e.cancel = nil
	tell := false
	if !e.gone {
		o.learn(e, report, err)
		tell = o.news(e, time.Now())
		o.plan(e, o.nextTime(e))
	}
	o.mu.Unlock()
	// A worker is free again, also if this target is not planned any more.
	select {
	case o.wake <- struct{}{}:
	default:
	}
	if tell {
		o.opts.Changed(target.Tenant)
	}
}

// learn puts an answer into what is known. The lock is held.
func (o *Observer) learn(e *entry, r *conf.Report, err error) {
	if err == nil {
		if e.failed > 0 {
			e.step = fastFirst
		}
		e.failed = 0
		e.seen = Observation{Report: r, Reachable: true}
		return
	}
	if e.failed == 0 {
		e.step = 0
	}
	e.failed++
	if e.failed >= failures {
		e.seen = Observation{Report: e.seen.Report, Error: err.Error()}
	}
}

// nextTime is when an entry is asked next. The lock is held.
func (o *Observer) nextTime(e *entry) time.Time {
	now := time.Now()
	switch {
	case e.again:
		e.again = false
		return now
	case e.failed > 0:
		last := retryLast
		if e.hurried() {
			last = urgentRetry
		}
		e.step = min(max(retryFirst, e.step*retryGrowth), last)
		return now.Add(e.step)
	case e.hurried():
		step := e.step
		e.step = min(time.Duration(float64(e.step)*fastGrowth), fastLast)
		return now.Add(step)
	}
	e.step = fastFirst
	wait := time.Duration(float64(idleEvery) * (1 - idleJitter + 2*idleJitter*o.opts.Random()))
	if e.counted() {
		// The counts are told as soon as they may be.
		wait = min(wait, e.toldAt.Add(countsEvery).Sub(now))
	}
	return now.Add(max(wait, fastFirst))
}

// news reports whether Changed is called now, and remembers that it was. The
// lock is held.
func (o *Observer) news(e *entry, now time.Time) bool {
	if e.decisive() || e.counted() && now.Sub(e.toldAt) >= countsEvery {
		e.told, e.toldAt = e.seen, now
		return true
	}
	return false
}

// decisive reports whether something is known that was not told and decides
// what is done.
func (e *entry) decisive() bool {
	a, b := e.told, e.seen
	if a.Reachable != b.Reachable || a.Error != b.Error || (a.Report == nil) != (b.Report == nil) {
		return true
	}
	if b.Report == nil || a.Report == b.Report {
		return false
	}
	was, is := *a.Report, *b.Report
	if e.target.Urgent && (was.ActiveCalls == 0) != (is.ActiveCalls == 0) {
		return true
	}
	return was.Program != is.Program || was.Generation != is.Generation ||
		was.Refused != is.Refused || was.RefusedGeneration != is.RefusedGeneration ||
		was.Draining != is.Draining || was.DatabaseUp != is.DatabaseUp || was.Overload != is.Overload ||
		!slices.Equal(was.Restart, is.Restart) || !slices.Equal(was.Trunks, is.Trunks)
}

// counted reports whether counts are known that were not told.
func (e *entry) counted() bool {
	a, b := e.told.Report, e.seen.Report
	return a != nil && b != nil && (a.ActiveCalls != b.ActiveCalls || a.Registrations != b.Registrations)
}
