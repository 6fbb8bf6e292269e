package works

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait bounds what a rate limit header may ask for: the limits are per
// minute.
const maxWait = 2 * time.Minute

// retryAfter reads rateLimit-reset (seconds until the window ends), else
// Retry-After; 0 if neither is there. Header names are case-insensitive.
func retryAfter(h http.Header) time.Duration {
	for _, name := range [...]string{"RateLimit-Reset", "X-RateLimit-Reset", "Retry-After"} {
		n, err := strconv.ParseFloat(strings.TrimSpace(h.Get(name)), 64)
		if err == nil && n > 0 {
			return time.Duration(min(n, maxWait.Seconds()) * float64(time.Second))
		}
	}
	return 0
}

// backoff decides whether an operation may be tried again after err, and when.
//
//	429, 503          always: the service did nothing
//	nothing was sent  always
//	other 5xx, silence after sending   only if repeating is harmless
func (c *Client) backoff(err error, try int, harmless bool) (time.Duration, bool) {
	var (
		api *APIError
		tr  *TransportError
	)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return 0, false
	case errors.As(err, &api):
		switch {
		case api.Status == http.StatusTooManyRequests, api.Status == http.StatusServiceUnavailable:
		case api.Status >= 500 && (harmless || api.Operation == OperationToken):
		default:
			return 0, false
		}
		if api.RetryAfter > 0 {
			return api.RetryAfter, true
		}
	case errors.As(err, &tr):
		if tr.Sent && !harmless && tr.Operation != OperationToken {
			return 0, false
		}
	default:
		return 0, false
	}
	return c.exponential(try), true
}

// exponential returns 2^try seconds, half of it random, at most 32 s.
func (c *Client) exponential(try int) time.Duration {
	full := time.Second << min(try, 5)
	return full/2 + time.Duration(c.opts.Jitter()*float64(full/2))
}
