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
		Disposition: disposition(c),
		Cause:       c.Cause,
		AnsweredBy:  c.AnsweredBy,
		PulledBy:    c.PulledBy,
		PulledTo:    c.PulledTo,
		Offered:     slices.Clone(c.Offered),
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

// congestion is the Q.850 cause of calls above a limit of ours.
const congestion = 42

// disposition names the outcome: an answered call is answered however it
// ended, any other by its final SIP status.
func disposition(c pbx.Call) pbx.Disposition {
	switch status := c.Cause.SIP; {
	case !c.Answered.IsZero():
		return pbx.Answered
	case status == 486 || status == 600:
		return pbx.BusyCalled
	case status == 487, status == 480, status == 408, status == 603, status == 0:
		return pbx.Missed
	case status == 503 && c.Cause.Q850 == congestion:
		return pbx.Refused
	case status >= 500 && status < 600:
		return pbx.FailedCall
	default:
		return pbx.Refused
	}
}
