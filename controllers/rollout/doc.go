// Package rollout decides when a running PBX is replaced by one with another
// image, pod template, ports, document or node, so that no call is cut for it
// before update.maxWait, and no two processes of one tenant run.
//
//	nothing waits ──► WaitingForCalls ──► WaitingForTurn ──► Quiesce ──► PatchImage ──► Progressing ──► nothing waits
//	                        │ maxWait is over      │                      or DeletePod
//	                        └──────────────────────┴──► ForceDrain ─────────┘
//
// Decide is pure: the same input gives the same decision, however often it is
// asked. It knows no client, no clock and no other tenant; whether it is this
// tenant's turn in the fleet is answered by Turnstile, a guarded table without a
// goroutine. Deleting pods, asking the PBX and writing status are the caller's.
//
// # Dead nodes
//
// A pod on a node that does not answer may still run: a second one would
// register the tenant's trunks twice and open the same volume. Kubernetes
// therefore never replaces a StatefulSet's pod there by itself, and neither
// does this package, but in three cases: the node object is gone, the node has
// the taint node.kubernetes.io/out-of-service (an administrator's word that it
// is off), or it has not been ready for Input.NodeDeadAfter while its pod was
// already evicted. The last is a guess that prefers a reachable company to a
// possible twin on a node that is cut off; 0 turns it off.
package rollout
