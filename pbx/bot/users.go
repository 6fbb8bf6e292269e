package bot

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// How users are looked up.
const (
	resolveTimeout = 5 * time.Second
	resolveRetry   = time.Minute      // after a failure, and before a doubted answer is asked again
	resolveAge     = 10 * time.Minute // an answer older than this is doubted when a press does not fit it
)

// resolved is the user ID of an e-mail, and when the service said so.
type resolved struct {
	id string
	at time.Time
}

// userID returns the user ID of a configured user where it is known, else the
// user as configured.
func (b *Bot) userID(user string) string {
	if !isEmail(user) {
		return user
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r, ok := b.users.get(strings.ToLower(user)); ok {
		return r.id
	}
	return user
}

// is reports whether the configured user is the one with that ID, asking the
// service if the answer is not known. An error means that nobody can say.
func (b *Bot) is(ctx context.Context, user, id string) (bool, error) {
	if !isEmail(user) {
		return user == id, nil
	}
	b.mu.Lock()
	known, ok := b.users.get(strings.ToLower(user))
	b.mu.Unlock()
	if ok && (known.id == id || b.opts.Now().Sub(known.at) < resolveAge) {
		return known.id == id, nil
	}
	// An address may have passed to somebody else: an old answer that does
	// not fit is asked for again before a press is refused for it.
	got, err := b.resolve(ctx, user)
	if err != nil {
		if ok {
			return known.id == id, nil
		}
		return false, err
	}
	return got == id, nil
}

func (b *Bot) resolve(ctx context.Context, user string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	id, err := b.opts.ResolveUser(ctx, user)
	if err != nil {
		return "", err
	}
	if id == "" {
		return "", fmt.Errorf("NAVER WORKS user %q: the directory has no ID for it", user)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	// Taken out first, so that the answer's age in the bounded map is its own.
	b.users.remove(strings.ToLower(user))
	b.users.put(strings.ToLower(user), resolved{id, b.opts.Now()})
	return id, nil
}

// resolveAll keeps the IDs of all configured users at hand, so that a press
// need not wait for a look-up. It works until ctx ends.
func (b *Bot) resolveAll(ctx context.Context) {
	retry := time.NewTimer(resolveRetry)
	defer retry.Stop()
	for {
		if b.resolveMissing(ctx) > 0 {
			retry.Reset(resolveRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		case <-retry.C:
		}
	}
}

// resolveMissing asks for every unknown user once, a few at a time, and
// returns how many are unknown still.
func (b *Bot) resolveMissing(ctx context.Context) int {
	missing := make(chan string)
	var failed int
	var last error
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for user := range missing {
				if _, err := b.resolve(ctx, user); err != nil {
					mu.Lock()
					failed, last = failed+1, err
					mu.Unlock()
				}
			}
		})
	}
	for _, x := range b.dir.Load().Extensions {
		if isEmail(x.WorksUser) && b.userID(x.WorksUser) == x.WorksUser && ctx.Err() == nil {
			missing <- x.WorksUser
		}
	}
	close(missing)
	workers.Wait()
	if failed > 0 && ctx.Err() == nil {
		b.opts.Log.Warn("some extensions' NAVER WORKS users could not be looked up; asked again in a minute and at their next press",
			"users", failed, "last error", last)
	}
	return failed
}
