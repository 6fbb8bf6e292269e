package bot

import (
	"sync"
	"time"
)

// logLimit lets one line a minute through and counts the rest, so that nobody
// fills the log from outside. The zero value is ready.
type logLimit struct {
	mu   sync.Mutex
	next time.Time
	held int
}

// allow reports whether a line may be written now, and for how many events
// since the last one it stands.
func (l *logLimit) allow(now time.Time) (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held++
	if now.Before(l.next) {
		return 0, false
	}
	n := l.held
	l.held, l.next = 0, now.Add(time.Minute)
	return n, true
}
