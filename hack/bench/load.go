package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// How many phones register, and how many pairs of phones call, at a time.
const (
	registering = 64
	pairs       = 32
	// mostCalls ends the load of calls early: a tenant remembers some 25,000
	// answered requests for half a minute and refuses what goes beyond.
	mostCalls = 8000
)

// result of one load on one target.
type result struct {
	perCPU float64 // per CPU-second of the target
	failed int64
	delays []time.Duration
}

// phonesAt makes n phones of consecutive extensions, each at an address of its
// own as in life: limits are counted by source. A phone of the next load has
// the same Contact, so that no call is forked to one that is gone.
func phonesAt(t *target, n int) (list []*phone, err error) {
	for i := range n {
		p, err := newPhone(fmt.Sprintf("127.1.%d.%d:5062", i/200, i%200+1), strconv.Itoa(firstNumber+i), t)
		if err != nil {
			hangUp(list)
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func hangUp(phones []*phone) {
	for _, p := range phones {
		p.close()
	}
}

// loop runs one worker per entry of do until the time is over or most are
// done, and divides what they finished by the CPU that the target took.
func loop(ctx context.Context, t *target, d time.Duration, most int64, do []func(context.Context) (time.Duration, error)) (result, error) {
	var count, failed atomic.Int64
	var first atomic.Pointer[error]
	delays := make([][]time.Duration, len(do))
	until := time.Now().Add(d)
	used := t.CPU()
	var wg sync.WaitGroup
	for i, f := range do {
		wg.Go(func() {
			for time.Now().Before(until) && count.Load() < most && ctx.Err() == nil {
				took, err := f(ctx)
				if err != nil {
					failed.Add(1)
					first.CompareAndSwap(nil, &err)
					continue
				}
				count.Add(1)
				delays[i] = append(delays[i], took)
			}
		})
	}
	wg.Wait()
	cpu := t.CPU() - used
	if e := first.Load(); e != nil && count.Load() < 10*failed.Load() {
		return result{}, fmt.Errorf("%s: %d of %d failed, the first with: %w", t.Name, failed.Load(), failed.Load()+count.Load(), *e)
	}
	if cpu == 0 {
		return result{}, errors.New(t.Name + " used no CPU")
	}
	n := float64(count.Load())
	return result{n / cpu.Seconds(), failed.Load(), slices.Concat(delays...)}, ctx.Err()
}

// registrations loads the target with REGISTER, 401, REGISTER, 200.
func registrations(ctx context.Context, t *target, d time.Duration) (result, error) {
	phones, err := phonesAt(t, registering)
	if err != nil {
		return result{}, err
	}
	defer hangUp(phones)
	do := make([]func(context.Context) (time.Duration, error), len(phones))
	for i, p := range phones {
		do[i] = func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			err := p.register(ctx)
			return time.Since(began), err
		}
	}
	return loop(ctx, t, d, math.MaxInt64, do)
}

// setups loads the target with calls from extension to extension: INVITE,
// challenge, ACK, INVITE, 180, 200, ACK, BYE, 200, the same at the other leg.
func setups(ctx context.Context, t *target, d time.Duration) (result, error) {
	phones, err := phonesAt(t, 2*pairs)
	if err != nil {
		return result{}, err
	}
	defer hangUp(phones)
	if err := together(phones, func(p *phone) error { return p.register(ctx) }); err != nil {
		return result{}, err
	}
	do := make([]func(context.Context) (time.Duration, error), pairs)
	for i := range do {
		caller, callee := phones[i], phones[pairs+i]
		do[i] = func(ctx context.Context) (time.Duration, error) {
			d, err := caller.invite(ctx, callee.user)
			if err != nil {
				return 0, err
			}
			return d.setup, d.bye(ctx)
		}
	}
	return loop(ctx, t, d, mostCalls, do)
}

// quantile of durations that need not be sorted, in milliseconds.
func quantile(list []time.Duration, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return float64(list[min(len(list)-1, int(q*float64(len(list))))].Microseconds()) / 1000
}
