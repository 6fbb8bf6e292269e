package sim

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// window counts the requests of one operation within one minute.
type window struct {
	ends time.Time
	used int
}

// admit applies the rate limit of a domain's operation and writes the
// documented headers.
func (s *Server) admit(domain int64, operation string, w http.ResponseWriter) bool {
	if s.cfg.RatePerMinute < 0 {
		return true
	}
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprint(domain, " ", operation)
	win := s.windows[key]
	if win == nil || !now.Before(win.ends) {
		win = &window{ends: now.Add(time.Minute)}
		s.windows[key] = win
	}
	admitted := win.used < s.cfg.RatePerMinute
	if admitted {
		win.used++
	}
	rateHeaders(w, s.cfg.RatePerMinute, s.cfg.RatePerMinute-win.used, win.ends.Sub(now))
	return admitted
}

func rateHeaders(w http.ResponseWriter, limit, remaining int, reset time.Duration) {
	seconds := int((reset + time.Second - 1) / time.Second)
	w.Header().Set("RateLimit-Limit", strconv.Itoa(limit))
	w.Header().Set("RateLimit-Remaining", strconv.Itoa(remaining))
	w.Header().Set("RateLimit-Reset", strconv.Itoa(seconds))
}
