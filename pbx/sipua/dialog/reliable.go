package dialog

import (
	"fmt"
	"strconv"
	"strings"
)

// Reliable is the bookkeeping of reliable provisional responses (RFC 3262).
type Reliable struct {
	// Sent is the RSeq of our last reliable response, Unacked whether its
	// PRACK is still to come, and Invite the CSeq number of the INVITE.
	Sent    uint32 `json:"sent,omitempty"`
	Unacked bool   `json:"unacked,omitempty"`
	Invite  uint32 `json:"invite,omitempty"`
	// Seen is the RSeq of the peer's last reliable response, 0 = none.
	Seen uint32 `json:"seen,omitempty"`
}

// Next returns the RSeq of our next reliable response to the INVITE with that
// CSeq number, false while the last one waits for its PRACK (§3).
// first is where the numbers begin, 1 to 2^31-1.
func (r *Reliable) Next(invite, first uint32) (uint32, bool) {
	switch {
	case r.Unacked:
		return 0, false
	case r.Sent == 0:
		r.Sent = max(first, 1)
	default:
		r.Sent++
	}
	r.Unacked, r.Invite = true, invite
	return r.Sent, true
}

// Acknowledge takes the RAck header of a PRACK and reports whether it matches
// the response that waits for it.
func (r *Reliable) Acknowledge(rack string) bool {
	f := strings.Fields(rack)
	if len(f) != 3 || !r.Unacked || f[2] != "INVITE" {
		return false
	}
	rseq, err1 := strconv.ParseUint(f[0], 10, 32)
	cseq, err2 := strconv.ParseUint(f[1], 10, 32)
	if err1 != nil || err2 != nil || uint32(rseq) != r.Sent || uint32(cseq) != r.Invite {
		return false
	}
	r.Unacked = false
	return true
}

// Heard takes a reliable response of the peer and returns the RAck value of
// the PRACK to send; false means: a retransmission or out of order, to be
// ignored (§4).
func (r *Reliable) Heard(rseq, invite uint32) (string, bool) {
	if rseq == 0 || (r.Seen != 0 && rseq != r.Seen+1) {
		return "", false
	}
	r.Seen = rseq
	return fmt.Sprintf("%d %d INVITE", rseq, invite), true
}
