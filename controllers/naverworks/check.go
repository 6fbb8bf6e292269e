package naverworks

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Check is something that is looked at again and again, at a bounded rate: at
// once when what it depends on has changed, otherwise after a while. Its zero
// value was never done. It is for one goroutine at a time.
type Check struct {
	key   string
	due   time.Time
	fails int     // in a row
	shown Verdict // may be an older success
}

const (
	// firstRetry is doubled with each failure in a row.
	firstRetry = 5 * time.Second
	// tolerated is how many failures in a row that may pass by themselves do not
	// take back a success.
	tolerated = 2
)

// Fresh reports whether the last look, for the same key, holds yet.
func (c *Check) Fresh(key string, now time.Time) bool { return c.key == key && now.Before(c.due) }

// Done notes what a look has found and returns what is to be shown. Another one
// is due after about every, sooner after a failure; jitter is in [0, 1).
func (c *Check) Done(key string, now time.Time, v Verdict, every time.Duration, jitter float64) Verdict {
	if c.key != key {
		*c = Check{key: key}
	}
	wait := every
	if !v.OK() {
		c.fails++
		if d := firstRetry << min(c.fails-1, 16); d < every {
			wait = d
		}
		wait = max(wait, v.RetryAfter)
	} else {
		c.fails = 0
	}
	c.due = now.Add(wait*3/4 + time.Duration(jitter*float64(wait)/2))
	if mayPass := v.Status == metav1.ConditionUnknown || v.Reason == v1alpha1.ReasonUnreachable; !mayPass || c.fails > tolerated || !c.shown.OK() {
		c.shown = v
	}
	return c.shown
}

// Postpone takes over a verdict that was found before this process lived: the
// next look is due after wait.
func (c *Check) Postpone(key string, now time.Time, v Verdict, wait time.Duration) {
	*c = Check{key: key, due: now.Add(wait), shown: v}
}

// Stood reports whether all was well for this key when it was looked at last.
func (c *Check) Stood(key string) bool { return c.key == key && c.shown.OK() }

// Shown is the verdict of the last look.
func (c *Check) Shown() Verdict { return c.shown }

// Wait is how long it is until the next look is due; at least a moment, so that
// nobody turns in a circle.
func (c *Check) Wait(now time.Time) time.Duration { return max(c.due.Sub(now), 100*time.Millisecond) }
