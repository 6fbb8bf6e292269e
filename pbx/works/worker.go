package works

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"
)

// entry is a message in the queue.
type entry struct {
	Message
	seq       uint64
	tries     int
	notBefore time.Time
}

// newestFirst orders the queue: the newest matter first, messages of one
// matter as they were sent.
func newestFirst(a, b *entry) int {
	if c := b.Since.Compare(a.Since); c != 0 {
		return c
	}
	return cmp.Compare(a.seq, b.seq)
}

// insert puts e in its place and takes out the oldest if the queue is too
// long then; the caller holds mu.
func (q *Queue) insert(e *entry) (full []*entry) {
	i, _ := slices.BinarySearchFunc(q.waiting, e, newestFirst)
	q.waiting = slices.Insert(q.waiting, i, e)
	n := min(len(q.waiting), q.opts.Limit)
	full = slices.Clone(q.waiting[n:])
	q.waiting = slices.Delete(q.waiting, n, len(q.waiting))
	return full
}

// takeStale takes out what is past its deadline; the caller holds mu.
func (q *Queue) takeStale(now time.Time) []*entry {
	var stale []*entry
	q.waiting = slices.DeleteFunc(q.waiting, func(e *entry) bool {
		if now.Before(e.Deadline) {
			return false
		}
		stale = append(stale, e)
		return true
	})
	return stale
}

// work is one worker's life.
func (q *Queue) work() {
	for {
		e := q.take()
		if e == nil {
			return
		}
		q.deliver(e)
	}
}

// keepWarm renews the access token before a message needs it. While that
// fails it tries ever more rarely; messages ask on their own then.
func (q *Queue) keepWarm() {
	for try := 0; ; try++ {
		wait, err := q.client.tokens.warm(q.ctx)
		switch {
		case q.ctx.Err() != nil:
			return
		case err != nil:
			wait = time.Minute << min(try, 4)
			q.client.opts.Logger.Warn("NAVER WORKS gives no access token", "bot", q.client.BotID(), "again", wait, "error", err)
		default:
			try = -1
		}
		q.sleep(wait, nil)
	}
}

// take waits for the next message that may be sent; nil when the queue closed.
func (q *Queue) take() *entry {
	for {
		now := q.client.opts.Now()
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return nil
		}
		stale := q.takeStale(now)
		e, wait := q.pick(now)
		if e != nil || len(stale) > 0 {
			q.wake()
		}
		changed := q.changed
		q.mu.Unlock()
		q.settleAll(stale, ErrStale)
		if e != nil {
			return e
		}
		q.sleep(wait, changed)
	}
}

// pick takes out the first message whose time has come, or says how long it
// is until one's may have; the caller holds mu.
func (q *Queue) pick(now time.Time) (*entry, time.Duration) {
	wait := time.Duration(-1)
	until := func(t time.Time) {
		if d := t.Sub(now); wait < 0 || d < wait {
			wait = d
		}
	}
	for i, e := range q.waiting {
		at := e.notBefore
		if q.pause.After(at) {
			at = q.pause
		}
		if !at.After(now) {
			q.waiting = slices.Delete(q.waiting, i, i+1)
			q.stats.Sending++
			return e, 0
		}
		until(at)
		until(e.Deadline)
	}
	return nil, wait
}

// sleep waits for a change, or for as long as wait says if it is not negative.
func (q *Queue) sleep(wait time.Duration, changed <-chan struct{}) {
	var due <-chan time.Time
	if wait >= 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-changed:
	case <-due:
	case <-q.ctx.Done():
	}
}

// deliver sends one message and decides what becomes of it.
func (q *Queue) deliver(e *entry) {
	ctx, cancel := context.WithTimeout(q.ctx, e.Deadline.Sub(q.client.opts.Now()))
	err := q.client.SendMessage(ctx, e.To, e.Content)
	cancel()
	full, again := q.retry(e, err)
	if !again {
		q.settle(e, err)
	}
	q.settleAll(full, ErrFull)
	q.mu.Lock()
	q.stats.Sending--
	q.wake()
	q.mu.Unlock()
}

// retry puts a message back that may be sent again. A refusal by the rate
// limit holds up the whole queue, since the limit is the domain's; anything
// else holds up this message alone. What has no room any more is returned.
func (q *Queue) retry(e *entry, err error) (full []*entry, again bool) {
	limited := isRateLimit(err)
	now := q.client.opts.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil {
		q.refused = 0
	}
	try := e.tries
	if limited {
		try = q.refused
	}
	wait, again := q.client.backoff(err, try, false)
	if limited && !q.pause.After(now) {
		q.pause = now.Add(wait)
		q.refused++
		q.client.opts.Logger.Warn("NAVER WORKS limits the bot's messages", "bot", q.client.BotID(), "wait", wait, "waiting", len(q.waiting))
	}
	if !limited {
		e.tries++
	}
	if !again || q.closed || e.tries >= q.opts.Tries || !now.Before(e.Deadline) {
		return nil, false
	}
	if !limited {
		e.notBefore = now.Add(wait)
	}
	return q.insert(e), true
}

func isRateLimit(err error) bool {
	var api *APIError
	return errors.As(err, &api) && api.Status == http.StatusTooManyRequests
}

func (q *Queue) settleAll(entries []*entry, err error) {
	for _, e := range entries {
		q.settle(e, err)
	}
}

// settle counts a message's end and tells its sender, once.
func (q *Queue) settle(e *entry, err error) {
	q.mu.Lock()
	dropped := false
	switch {
	case err == nil:
		q.stats.Sent++
	case errors.Is(err, ErrStale):
		q.stats.Stale++
		dropped = true
	case errors.Is(err, ErrFull):
		q.stats.Full++
		dropped = true
	case errors.Is(err, ErrClosed):
		dropped = true
	default:
		q.stats.Failed++
	}
	q.mu.Unlock()
	if dropped {
		q.opts.Dropped(err)
	} else if err != nil {
		q.client.opts.Logger.Warn("bot message was not sent", "bot", q.client.BotID(), "error", err)
	}
	if e.Done != nil {
		e.Done(err)
	}
}
