package cdr

import (
	"slices"

	"github.com/dipcast/dipcast/pbx"
)

// Fold returns the record of the call that the event ends. Every event
// carries the whole call as it stands, so the last one says it all; ok is
// false for the events before it.
func Fold(e pbx.Event) (record pbx.CDR, ok bool) {
	if e.Type != pbx.EventEnded {
		return pbx.CDR{}, false
	}
	c := e.Call
	record = pbx.CDR{
		ID:          c.ID,
		Direction:   c.Direction,
		From:        c.From,
		To:          c.To,
		Dialled:     c.Dialled,
		Started:     c.Started.UTC(),
		Ended:       c.Ended.UTC(),
		Disposition: c.Disposition(),
		Cause:       c.Cause,
		AnsweredBy:  c.AnsweredBy,
		PulledBy:    c.PulledBy,
		PulledTo:    c.PulledTo,
		Offered:     slices.Clone(c.Offered),
		Recording:   c.Recording,
		Legs:        slices.Clone(c.Legs),
	}
	if !c.Answered.IsZero() {
		record.Answered = c.Answered.UTC()
	}
	for i := range record.Legs {
		l := &record.Legs[i]
		l.Created = l.Created.UTC()
		if !l.Answered.IsZero() {
			l.Answered = l.Answered.UTC()
		}
		if !l.Ended.IsZero() {
			l.Ended = l.Ended.UTC()
		}
	}
	return record, true
}
