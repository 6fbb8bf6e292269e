package convert

import (
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/media/voice"
)

// Job is what a worker does every 20 ms.
type Job interface {
	// Run does one frame and reports false when it is the last one. It must
	// not block.
	Run() bool
}

// Crew runs jobs. NewCrew makes one; it has no goroutine before the first job.
type Crew struct {
	clock func() (ticks <-chan time.Time, stop func())

	mu      sync.Mutex
	closed  bool
	next    int
	workers []*worker
	wg      sync.WaitGroup
}

// NewCrew returns a crew of so many workers at most. clock makes the ticks of a
// worker; nil = tickers of 20 ms.
func NewCrew(workers int, clock func() (ticks <-chan time.Time, stop func())) *Crew {
	if clock == nil {
		clock = ticker
	}
	c := &Crew{clock: clock, workers: make([]*worker, max(workers, 1))}
	for i := range c.workers {
		c.workers[i] = &worker{crew: c}
	}
	return c
}

func ticker() (<-chan time.Time, func()) {
	t := time.NewTicker(voice.Frame)
	return t.C, t.Stop
}

// Add gives a job to the next worker. It reports false when the crew is closed.
func (c *Crew) Add(j Job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	w := c.workers[c.next%len(c.workers)]
	c.next++
	w.fresh = append(w.fresh, j)
	if !w.running {
		w.running, w.stop = true, make(chan struct{})
		c.wg.Go(func() { w.run(w.stop) })
	}
	return true
}

// Jobs returns how many jobs are at work.
func (c *Crew) Jobs() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, w := range c.workers {
		n += w.count + len(w.fresh)
	}
	return n
}

// Close ends all jobs and waits for the workers.
func (c *Crew) Close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		for _, w := range c.workers {
			if w.running {
				close(w.stop)
			}
		}
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// worker is one goroutine, which ends with its last job. Its fields are the
// crew's, under its lock.
type worker struct {
	crew    *Crew
	running bool
	stop    chan struct{}
	fresh   []Job
	count   int
}

func (w *worker) run(stop <-chan struct{}) {
	ticks, end := w.crew.clock()
	defer end()
	var jobs []Job
	for w.enlist(&jobs) {
		select {
		case <-stop:
			return
		case <-ticks:
		}
		kept := jobs[:0]
		for _, j := range jobs {
			if j.Run() {
				kept = append(kept, j)
			}
		}
		clear(jobs[len(kept):]) // a job that is over must not be kept alive
		jobs = kept
	}
}

// enlist takes new jobs in and reports whether there is anything to do.
func (w *worker) enlist(jobs *[]Job) bool {
	w.crew.mu.Lock()
	defer w.crew.mu.Unlock()
	*jobs = append(*jobs, w.fresh...)
	clear(w.fresh)
	w.fresh, w.count = w.fresh[:0], len(*jobs)
	w.running = w.count > 0 && !w.crew.closed
	return w.running
}
