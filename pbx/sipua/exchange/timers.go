package exchange

import "time"

// Timers are the durations that legs wait; the zero value of each field
// means its default.
type Timers struct {
	T1     time.Duration // RFC 3261 T1, 500 ms
	T2     time.Duration // RFC 3261 T2, 4 s
	Host   time.Duration // until the next host of a trunk is tried, 2 s
	Send   time.Duration // until a request must be on the wire, 2 s
	Expire time.Duration // session interval that we ask for, 1800 s
	MinSE  time.Duration // shortest session interval that we accept, 90 s
}

// WithDefaults fills in what is zero.
func (t Timers) WithDefaults() Timers {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&t.T1, 500*time.Millisecond)
	set(&t.T2, 4*time.Second)
	set(&t.Host, 2*time.Second)
	set(&t.Send, 2*time.Second)
	set(&t.Expire, 1800*time.Second)
	set(&t.MinSE, 90*time.Second)
	return t
}
