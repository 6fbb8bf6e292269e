package works

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The reasons for which a message is given up without having been sent.
var (
	ErrStale  = errors.New("the message went stale before it could be sent")
	ErrFull   = errors.New("the queue is full and this message was the oldest")
	ErrClosed = errors.New("the queue is closed")
)

// defaultLife is how long a message without a deadline is worth sending.
const defaultLife = time.Hour

// Message is one bot message to one user.
type Message struct {
	To      string // user ID or login e-mail
	Content Content
	// Since says how new the matter is, usually when the call began: the
	// newest matter is sent first, messages of one matter in their order.
	// Zero = now.
	Since time.Time
	// Deadline is when the message is worth nothing any more; zero = an hour
	// from Send.
	Deadline time.Time
	// Done, if set, is called exactly once with nil or the reason for giving
	// up, from a worker or, when the message is refused at once, from Send or
	// Close. It must not block.
	Done func(error)
}

// QueueOptions are the limits of a Queue. Zero fields take the defaults.
type QueueOptions struct {
	Workers int // concurrent requests; 4, since the service is said to permit 5
	Limit   int // waiting messages; 256
	// Tries is how often one message is sent at most; 5. It is sent again
	// only when the service certainly did nothing with it; refusals by the
	// rate limit do not count.
	Tries int
	// Dropped is told of every message that is given up unsent, with
	// ErrStale, ErrFull or ErrClosed. It must not block.
	Dropped func(why error)
}

// QueueStats is what a Queue has done so far.
type QueueStats struct {
	Waiting int // now
	Sending int // now
	Sent    uint64
	Failed  uint64 // refused by the service, or never answered
	Stale   uint64
	Full    uint64
}

// Queue sends one bot's messages and never holds up the caller. It owns its
// workers from NewQueue to Close.
type Queue struct {
	client *Client
	opts   QueueOptions
	ctx    context.Context // the workers' life, ended by Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	waiting []*entry // newest matter first
	seq     uint64
	stats   QueueStats
	pause   time.Time // nobody sends before
	refused int       // refusals by the rate limit in a row
	closed  bool
	changed chan struct{} // closed and replaced whenever the above changes
}

// NewQueue starts the workers; Close ends them.
func NewQueue(c *Client, o QueueOptions) *Queue {
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.Limit <= 0 {
		o.Limit = 256
	}
	if o.Tries <= 0 {
		o.Tries = 5
	}
	if o.Dropped == nil {
		o.Dropped = func(error) {}
	}
	q := &Queue{client: c, opts: o, changed: make(chan struct{})}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.wg.Go(q.keepWarm)
	for range o.Workers {
		q.wg.Go(q.work)
	}
	return q
}

// Send hands a message over and returns at once. When the queue is full, a
// stale message or that of the oldest matter makes room.
func (q *Queue) Send(m Message) {
	now := q.client.opts.Now()
	if m.Deadline.IsZero() {
		m.Deadline = now.Add(defaultLife)
	}
	if m.Since.IsZero() {
		m.Since = now
	}
	e := &entry{Message: m}
	if err := validateMessage(m); err != nil {
		q.settle(e, err)
		return
	}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		q.settle(e, ErrClosed)
		return
	}
	q.seq++
	e.seq = q.seq
	stale := q.takeStale(now)
	full := q.insert(e)
	q.wake()
	q.mu.Unlock()
	q.settleAll(stale, ErrStale)
	q.settleAll(full, ErrFull)
}

func validateMessage(m Message) error {
	if m.To == "" {
		return errors.New("bot message: no user to send it to")
	}
	if m.Content == nil {
		return errors.New("bot message: no content")
	}
	if err := m.Content.Validate(); err != nil {
		return fmt.Errorf("bot message: %w", err)
	}
	return nil
}

// Stats returns the counters.
func (q *Queue) Stats() QueueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.Waiting = len(q.waiting)
	return s
}

// Drain waits until every message was sent or given up, or ctx ends.
func (q *Queue) Drain(ctx context.Context) error {
	for {
		q.mu.Lock()
		idle, changed := len(q.waiting) == 0 && q.stats.Sending == 0, q.changed
		q.mu.Unlock()
		if idle {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// Close breaks off what is being sent, gives up what waits with ErrClosed and
// waits for the workers. Call Drain first to let messages out.
func (q *Queue) Close() {
	q.mu.Lock()
	rest := q.waiting
	q.waiting, q.closed = nil, true
	q.wake()
	q.mu.Unlock()
	q.cancel()
	q.settleAll(rest, ErrClosed)
	q.wg.Wait()
}

// wake tells workers and Drain to look again; the caller holds mu.
func (q *Queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}
