// Package edge decides who may speak with the PBX. It is the Handler behind
// the gate: it proves phones by digest and trunks by address, answers REGISTER
// and OPTIONS itself without a transaction, since it can compute the same
// answer again for a retransmission, and gives a transaction only to requests
// whose sender is known. It also sends our own requests.
//
//	             a live transaction ──► its state machine
//	             inside a known dialog ─► InDialog
//	gate ─► Edge REGISTER, digest right ─► registrar ─► 200
//	             INVITE from a trunk, or digest right ─► Invite
//	             OPTIONS ─► 200        anything else ─► 401, 403, 405, 481, 489, 503
//
// The Edge owns the gate, its sockets and the transaction table; Close ends
// all of them and waits. It knows nothing of dialogs beyond the question
// whether one is live, and nothing of calls.
package edge
