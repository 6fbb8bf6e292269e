// Package receiver takes the callbacks of all companies' bots and hands each to
// its tenant's PBX, so that a press is not lost while a pod is being replaced:
// NAVER WORKS sends a callback once.
//
//	Ingress ─► ServeHTTP ─┬─ the PBX answers ───────────────────────► its answer
//	                      └─ it is away, the signature is right ─► 200 ─► hold ─┬─ the PBX is back ─► delivered
//	                                                                            └─ 30 s are over ───► the presser is told
//
// The PBX stays the judge of presses: what it gets is the body and the headers
// as NAVER WORKS sent them, maybe twice, and it knows a body that it has had.
// Nothing is held that the bot's secret does not prove; a stranger's request
// gets one try and the PBX's own answer.
//
// Every replica of the operator receives, whichever of them leads. One
// goroutine serves, one more delivers for each tenant with something held;
// Start waits for all of them. What is held lives in memory, within bounds, and
// no longer than 30 s; a replica that ends delivers it before.
//
// receiver.go, handler.go, forward.go and hold.go know no cluster; cluster.go
// looks companies up in the operator's cache, places.go knows where the
// replicas are. The rights on the latter are in config/rbac/receiver.yaml.
package receiver
