package trunk

import (
	"fmt"
	"time"
)

// The limits of registering.
const (
	firstExpires    = 5 * time.Minute // asked for until a host says 423
	maxExpires      = 24 * time.Hour
	minExpires      = 10 * time.Second
	failBase        = 2 * time.Second // after all hosts failed once
	failMax         = 2 * time.Minute
	refusedBase     = 2 * time.Minute // after the credentials were refused: slow, so that no account gets locked
	refusedMax      = 30 * time.Minute
	maxRetryAfter   = time.Hour
	refreshEarliest = 0.70 // of the granted time, plus up to refreshSpread by chance
	refreshSpread   = 0.15
)

// SIP status codes that are told apart (RFC 3261 §21).
const (
	statusUnauthorized        = 401
	statusForbidden           = 403
	statusNotFound            = 404
	statusProxyAuthentication = 407
	statusIntervalTooBrief    = 423
)

// registration is the state of one trunk's binding at its carrier. It is a
// plain value; answered and lost are its only transitions.
type registration struct {
	wanted   time.Duration // Expires to ask for
	host     int           // index of the host that holds the binding, or was tried last
	until    time.Time     // the binding lives until then; zero = none
	next     time.Time     // when to send the next REGISTER
	left     []int         // hosts not yet tried in this round
	failures int           // rounds or refusals in a row
	refused  bool          // the last answer refused us
	text     string        // what went wrong last; empty while all is well
}

func (r registration) registered(now time.Time) bool { return now.Before(r.until) }

// answered takes a host's answer, or the error that none came. names are the
// hosts' names for texts; chance is in [0,1).
func (r registration) answered(now time.Time, host int, res RegisterResult, err error, names []string, chance float64) registration {
	if err != nil {
		r.text = fmt.Sprintf("%s does not answer REGISTER", names[host])
		return r.failed(now, host, 0, chance)
	}
	said := fmt.Sprintf("%d %s", res.Status, reason(res))
	switch {
	case res.Status >= 200 && res.Status < 300:
		return r.accepted(now, host, res, chance)
	case res.Status == statusIntervalTooBrief && res.MinExpires > r.wanted && res.MinExpires <= maxExpires:
		r.wanted = res.MinExpires
		r.left = append([]int{host}, r.left...)
		r.next = now
		return r
	case refuses(res.Status):
		r.until, r.refused, r.left = time.Time{}, true, nil
		r.host = host
		r.failures++
		r.next = now.Add(max(backoff(r.failures, refusedBase, refusedMax, chance), min(res.RetryAfter, maxRetryAfter)))
		r.text = fmt.Sprintf("%s refuses the user name or password (%s); correct the trunk's Secret", names[host], said)
		return r
	default:
		r.text = fmt.Sprintf("%s answers REGISTER with %s", names[host], said)
		return r.failed(now, host, res.RetryAfter, chance)
	}
}

// refuses reports whether a status says that asking again, or asking another
// host of the same carrier, will not help until somebody corrects something.
func refuses(status int) bool {
	switch status {
	case statusUnauthorized, statusForbidden, statusNotFound, statusProxyAuthentication:
		return true
	}
	return false
}

func (r registration) accepted(now time.Time, host int, res RegisterResult, chance float64) registration {
	granted := res.Expires
	if granted <= 0 {
		granted = r.wanted
	}
	granted = min(max(granted, minExpires), maxExpires)
	r.host, r.until = host, now.Add(granted)
	r.next = now.Add(time.Duration(float64(granted) * (refreshEarliest + refreshSpread*chance)))
	r.left, r.failures, r.refused = nil, 0, false
	r.text = ""
	return r
}

// failed goes on to the next host at once, and rests after the last one. A
// binding that was granted stays until its time is over: the carrier keeps it.
func (r registration) failed(now time.Time, host int, retryAfter time.Duration, chance float64) registration {
	r.refused = false
	if !r.registered(now) {
		r.until, r.host = time.Time{}, host
	}
	if len(r.left) > 0 {
		r.next = now
		return r
	}
	r.failures++
	r.next = now.Add(max(backoff(r.failures, failBase, failMax, chance), min(retryAfter, maxRetryAfter)))
	return r
}

// lost says that the host which holds the binding is dead: look for another
// one now.
func (r registration) lost(now time.Time) registration {
	r.left, r.next, r.until, r.text = nil, now, time.Time{}, ""
	return r
}

// backoff doubles base for each failure in a row up to limit; half of it is
// left to chance (in [0,1)), so that a thousand PBXs do not come back at once.
func backoff(failures int, base, limit time.Duration, chance float64) time.Duration {
	d := limit
	if n := max(failures, 1) - 1; n < 20 {
		d = min(base<<n, limit)
	}
	return d/2 + time.Duration(float64(d/2)*chance)
}

func reason(res RegisterResult) string {
	// The phrase comes from the network and ends in a status that people read.
	const longest = 60
	clean := make([]rune, 0, longest)
	for _, c := range res.Reason {
		if c < ' ' || c == 0x7f || len(clean) == longest {
			break
		}
		clean = append(clean, c)
	}
	return string(clean)
}
