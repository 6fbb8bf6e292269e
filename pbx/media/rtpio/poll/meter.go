package poll

import (
	"sync/atomic"
	"time"
)

// Meter keeps the greatest of the durations noted in this second and the one
// before. One goroutine notes, anybody reads.
type Meter struct {
	second  atomic.Int64
	current atomic.Int64
	before  atomic.Int64
}

// Note takes a duration in nanoseconds at a time in nanoseconds.
func (m *Meter) Note(now, d int64) {
	if second := now / int64(time.Second); second != m.second.Load() {
		last := m.current.Load()
		if second != m.second.Load()+1 {
			last = 0
		}
		m.before.Store(last)
		m.current.Store(0)
		m.second.Store(second)
	}
	if d > m.current.Load() {
		m.current.Store(d)
	}
}

// Max is the greatest duration of the last second or two, 0 if nothing was
// noted since.
func (m *Meter) Max(now int64) time.Duration {
	switch now/int64(time.Second) - m.second.Load() {
	case 0:
		return time.Duration(max(m.current.Load(), m.before.Load()))
	case 1:
		return time.Duration(m.current.Load())
	}
	return 0
}
