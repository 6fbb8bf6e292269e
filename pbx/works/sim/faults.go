package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Fault makes an operation misbehave. Faults are tried in the order in which
// they were set; the first that fits a request is applied.
type Fault struct {
	// Operation names what misbehaves ("token", "bot.message.user", ...);
	// "" = every API operation and the token endpoint; "callback" = what the
	// simulator sends.
	Operation string `json:"operation"`
	Times     int    `json:"times"` // how many requests; 0 = until ClearFaults
	// Delay is waited first.
	Delay  Duration `json:"delay,omitempty"`
	Status int      `json:"status,omitempty"` // answer with this error
	// Reset is the rate limit header of a Status 429, in seconds; 0 = none.
	Reset int  `json:"reset,omitempty"`
	Hang  bool `json:"hang,omitempty"`  // never answer
	Abort bool `json:"abort,omitempty"` // close the connection without an answer
	// Lose and Duplicate are for callbacks alone.
	Lose      bool `json:"lose,omitempty"`
	Duplicate bool `json:"duplicate,omitempty"`
}

// Duration is a time.Duration that JSON carries as text ("250ms").
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("duration %s: must be text like \"250ms\"", b)
	}
	v, err := time.ParseDuration(s)
	*d = Duration(v)
	return err
}

// SetFault adds a fault.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Faults lists what is set.
func (s *Server) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Fault, 0, len(s.faults))
	for _, f := range s.faults {
		out = append(out, *f)
	}
	return out
}

// nextFault takes the first fault for an operation.
func (s *Server) nextFault(operation string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Operation != operation && (f.Operation != "" || operation == operationCallback) {
			continue
		}
		taken := *f
		if f.Times == 1 {
			s.faults = slices.Delete(s.faults, i, i+1)
		} else if f.Times > 1 {
			f.Times--
		}
		return taken, true
	}
	return Fault{}, false
}

// fault applies the next fault to a request and reports whether it was
// answered by that.
func (s *Server) fault(operation string, w http.ResponseWriter, r *http.Request) bool {
	f, ok := s.nextFault(operation)
	if !ok {
		return false
	}
	if f.Delay > 0 && !s.pause(r, time.Duration(f.Delay)) {
		panic(http.ErrAbortHandler)
	}
	if f.Hang {
		select {
		case <-r.Context().Done():
		case <-s.ctx.Done():
		}
		panic(http.ErrAbortHandler)
	}
	if f.Abort {
		panic(http.ErrAbortHandler)
	}
	if f.Status == 0 {
		return false
	}
	if f.Status == http.StatusTooManyRequests && f.Reset > 0 {
		rateHeaders(w, s.cfg.RatePerMinute, 0, time.Duration(f.Reset)*time.Second)
	}
	fail(w, f.Status, codeOf(f.Status), "This fault was ordered.")
	return true
}

// pause waits; false if the client or the simulator went away meanwhile.
func (s *Server) pause(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-s.ctx.Done():
	}
	return false
}

// codeOf is the documented error code of a status.
func codeOf(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "BAD_REQUEST"
	case http.StatusUnauthorized:
		return "UNAUTHORIZED"
	case http.StatusForbidden:
		return "FORBIDDEN"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusTooManyRequests:
		return "TOO_MANY_REQUESTS"
	case http.StatusServiceUnavailable:
		return "SERVICE_UNAVAILABLE"
	}
	return "INTERNAL_SERVER_ERROR"
}
