package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// settled is how long calls must talk until no transaction is left of their
// set-up: 64*T1 (RFC 3261 §17), and what the PBX waits beyond it.
const settled = 40 * time.Second

// talk measures what a call that is up costs in memory, once its transactions
// are over. Everybody has registered before.
func (b *bench) talk(ctx context.Context) error {
	phones, err := phonesAt(b.pbx, 2*slices.Max(b.plan.talks))
	if err != nil {
		return err
	}
	err = together(phones, func(p *phone) error { return p.register(ctx) })
	hangUp(phones)
	if err != nil {
		return err
	}
	if err := b.pbx.Wait(ctx, 2*time.Second); err != nil {
		return err
	}
	before := b.pbx.Memory("VmRSS")
	for _, calls := range b.plan.talks {
		with, err := b.talking(ctx, calls)
		if err != nil {
			return err
		}
		b.out.add(compare(fmt.Sprintf("memory per call, KiB (at %d, settled)", calls), "%.1f", (with-before)/kib/float64(calls)))
	}
	return nil
}

// talking returns the memory of the PBX with so many calls.
func (b *bench) talking(ctx context.Context, calls int) (float64, error) {
	x, err := newExchange(calls)
	if err != nil {
		return 0, err
	}
	end, err := talkers(ctx, b.pbx, x, calls)
	if err != nil {
		x.close()
		return 0, err
	}
	defer end()
	if _, err := x.measure(ctx, b.pbx.Process, settled); err != nil {
		return 0, err
	}
	return b.pbx.Memory("VmRSS"), nil
}
