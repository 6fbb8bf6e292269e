package main

import (
	"context"
	"errors"
	"fmt"
)

// plane measures the media plane alone, at the sizes of the peers' records.
func (b *bench) plane(ctx context.Context) error {
	for _, calls := range b.plan.relays {
		if err := b.relayRows(ctx, calls); err != nil {
			return err
		}
	}
	b.out.note("As recorded on the same kind of machine, ms CPU per call-second: rtpengine + Kamailio 0.82 (600 calls), 0.79 (1,000), " +
		"1.04 with pcap recording; Asterisk 22 2.34 (500), 4.17 with WAV recording; FreeSWITCH 4.13 (350), 5.86 with WAV recording.")
	return nil
}

// recordedCalls is the size of the load that is recorded.
const recordedCalls = 500

// recorded measures the relay while each call is written to disk: here stereo
// WAV, at rtpengine every packet.
func (b *bench) recorded(ctx context.Context) error {
	ours, err := dipcastRelay(ctx, b.pbx, recordedCalls, b.plan)
	if err != nil {
		return err
	}
	engine, who, err := b.rtpengine(ctx, recordedCalls, true)
	if err != nil {
		return err
	}
	b.out.relayed(fmt.Sprintf("relay and recording, %d calls", recordedCalls), ours, []string{who}, []relayed{engine})
	return nil
}

// rtpengine is measured if it is installed; who tells.
func (b *bench) rtpengine(ctx context.Context, calls int, record bool) (r relayed, who string, err error) {
	r, err = rtpengineRelay(ctx, b.dir, calls, b.plan, record)
	if errors.Is(err, errNotInstalled) {
		return r, "rtpengine is not installed", nil
	}
	return r, "rtpengine", err
}

// relayRows lets the same calls talk through each relay in turn.
func (b *bench) relayRows(ctx context.Context, calls int) error {
	ours, err := dipcastRelay(ctx, b.pbx, calls, b.plan)
	if err != nil {
		return err
	}
	bare, err := bareForwarder(ctx, b.dir, calls, b.plan)
	if err != nil {
		return err
	}
	engine, who, err := b.rtpengine(ctx, calls, false)
	if err != nil {
		return err
	}
	b.out.relayed(fmt.Sprintf("relay, %d calls", calls), ours, []string{"forwarder", who}, []relayed{bare, engine})
	return nil
}
