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
	engine, err := rtpengineRelay(ctx, b.dir, calls, b.plan)
	who := "rtpengine"
	if errors.Is(err, errNotInstalled) {
		who, err = "rtpengine is not installed", nil
	}
	if err != nil {
		return err
	}
	b.out.relayed(fmt.Sprintf("relay, %d calls", calls), ours, []string{"forwarder", who}, []relayed{bare, engine})
	return nil
}
