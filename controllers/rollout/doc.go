// Package rollout decides when a running PBX is replaced by one with another
// image, pod template, ports, document or node, so that no call is cut for it
// that could go on or end in time, and no two processes of one tenant run.
//
//	nothing waits ─► WaitingForCalls ─► WaitingForTurn ─► Quiesce ─► PatchImage ─► Progressing ─► nothing waits
//	                        │ the wait is over │             ▲     or DeletePod
//	                        │                  │             │         ▲
//	                        └──────────────────┴► ForceDrain ┘         │
//	                                           └► the calls go on ─────┘
//
// Decide is pure: the same input gives the same decision, however often it is
// asked. It knows no client, no clock and no other tenant; whether it is this
// tenant's turn in the fleet is answered by Turnstile, a guarded table without
// a goroutine. Deleting pods, asking the PBX and writing status are the
// caller's.
//
// # Calls that go on
//
// A process that writes its calls into a journal (conf.Report.Journal) and is
// followed by one that reads it (Trial.Journal, for another image) is replaced
// under them: after update.idleWait in the hope of a moment without any, with
// another node or other ports after update.maxWait, as not every phone follows
// there. Calls are ended, after update.maxWait, only for what cannot take them
// over: images that know no journal.
//
// # Successors that overlap
//
// A process may go on, after it was told to end, until the next one waits for its
// place (conf.Report.Linger). A pod of such a process that is told to go is
// removed from the API server at once, so that the next pod is made while the
// calls go on; the lock of the data folder makes sure that one of the two serves.
// Where the next process cannot come before the end of this one, in the same pod
// or on another node, this one is told so by a drain.
//
// # Trials
//
// Another image is tried on the pod's node first, from the moment in which the
// update begins to wait: no turn is taken, and nothing is asked of the PBX,
// before a Trial of exactly that image and node has passed. What fails is told,
// and tried again.
//
// # Processes that do not serve
//
// A process that is not up (pending, starting, crashing) has no calls: it is
// replaced at once, without a turn. One that runs and only counts as not
// started, as after a restart of its kubelet, is asked first. One that was replaced and does not get
// ready keeps its turn, so that an image that passes its trial and does not stay up
// stops after as many tenants as are replaced at a time; the image that puts it
// right reaches those at once.
//
// # Cordoned nodes
//
// A cordon is the wish to leave the node. It is followed only if another node
// can take the tenant; until then nothing is done that would delete the pod,
// since the scheduler could not place its successor.
//
// # Dead nodes
//
// A pod on a node that does not answer may still run: a second one would
// register the tenant's trunks twice and open the same volume. Kubernetes
// therefore never replaces a StatefulSet's pod there by itself, and neither
// does this package, but in three cases, each with the pod already told to go:
// the node object is gone, the node has the taint
// node.kubernetes.io/out-of-service (an administrator's word that it is off),
// or it has not been ready for Input.NodeDeadAfter. The last is a guess that
// prefers a reachable company to a possible twin on a node that is cut off; 0
// turns it off.
package rollout
