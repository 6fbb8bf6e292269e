package web

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	maxCallback   = 1 << 20
	callbackQueue = 512
	// callbackWorkers is generous: a press may have to wait for the directory
	// to say who pressed, and must not hold up the others meanwhile.
	callbackWorkers = 16
	// maxSeen and replayWindow bound the memory for duplicates. The window
	// is longer than the age at which the bot refuses a press, so that a
	// recorded callback never works a second time.
	maxSeen      = 16384
	replayWindow = 15 * time.Minute
)

// callback answers at once: what the event asks for is done by the workers,
// since the platform never sends a callback again and waits only shortly.
func (s *Server) callback(w http.ResponseWriter, r *http.Request) {
	c := s.site.Load().Callback
	if c.Mark != "" {
		w.Header().Set("X-Dipcast-Tenant", c.Mark)
	}
	if c.BotID == "" || c.Verify == nil {
		http.NotFound(w, r)
		return
	}
	source := s.source(r)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
	if err != nil {
		s.observe("body")
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, "the body is larger than 1 MiB", http.StatusRequestEntityTooLarge)
			return
		}
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return
	}
	switch {
	case r.Header.Get("X-WORKS-Signature") == "":
		// A stranger, or the operator that looks whether we are to be reached:
		// no sign of a bot secret that is out of date.
		s.observe("unsigned")
		http.Error(w, "no signature", http.StatusUnauthorized)
	case !c.Verify(body, r.Header.Get("X-WORKS-Signature")):
		s.observe("signature")
		if s.denied.take(source) {
			s.opts.Log.WarnContext(r.Context(), "callback with a wrong signature: if it comes from NAVER WORKS, the bot secret is out of date", "source", source)
		}
		http.Error(w, "wrong signature", http.StatusUnauthorized)
	case r.Header.Get("X-WORKS-BotId") != c.BotID:
		s.observe("bot")
		http.Error(w, "this is not the bot's endpoint", http.StatusForbidden)
	default:
		s.accept(w, body)
	}
}

// accept queues a verified body once.
func (s *Server) accept(w http.ResponseWriter, body []byte) {
	if s.left() { // whoever holds it for us asks again
		s.observe("leaving")
		refuseCallback(w, "another process takes over")
		return
	}
	sum := sha256.Sum256(body)
	if !s.seen.first(sum, s.opts.Now()) {
		s.observe("duplicate")
		w.WriteHeader(http.StatusOK)
		return
	}
	p := press{sum: sum, body: body}
	s.presses.keep(p, s.opts.Now())
	select {
	case s.callbacks <- p:
		s.observe("accepted")
		w.WriteHeader(http.StatusOK)
	default:
		s.seen.forget(sum) // should it come again, it is welcome
		s.presses.forget(sum)
		s.observe("overflow")
		refuseCallback(w, "too many callbacks wait")
	}
}

func refuseCallback(w http.ResponseWriter, why string) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, why, http.StatusServiceUnavailable)
}

func (s *Server) observe(outcome string) {
	if s.opts.Hooks.Callback != nil {
		s.opts.Hooks.Callback(outcome)
	}
}

// deliver is one worker.
func (s *Server) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.leaving:
			return
		case p := <-s.callbacks:
			if s.left() { // the next process serves it
				return
			}
			if s.opts.Deliver == nil || s.opts.Deliver(ctx, p.body) == nil {
				s.presses.done(p, s.opts.Now())
			}
		}
	}
}

// replayFilter remembers hashes for a while, at most limit of them.
type replayFilter struct {
	limit  int
	window time.Duration

	// dropped is told a hash that is forgotten; may be nil.
	dropped func(sum [sha256.Size]byte)

	mu    sync.Mutex
	until map[[sha256.Size]byte]time.Time
	order [][sha256.Size]byte // oldest first
}

func newReplayFilter(limit int, window time.Duration) *replayFilter {
	return &replayFilter{limit: limit, window: window, until: map[[sha256.Size]byte]time.Time{}}
}

// first reports whether the hash was not seen within the window, and notes it.
func (f *replayFilter) first(sum [sha256.Size]byte, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.order) > 0 {
		until, ok := f.until[f.order[0]]
		if ok && now.Before(until) && len(f.order) < f.limit {
			break
		}
		delete(f.until, f.order[0])
		if f.dropped != nil {
			f.dropped(f.order[0])
		}
		f.order = f.order[1:]
	}
	if _, seen := f.until[sum]; seen {
		return false
	}
	f.until[sum] = now.Add(f.window)
	f.order = append(f.order, sum)
	return true
}

// forget takes a hash out again.
func (f *replayFilter) forget(sum [sha256.Size]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.until, sum)
	f.order = slices.DeleteFunc(f.order, func(o [sha256.Size]byte) bool { return o == sum })
}
