// Command bench prints what the PBX costs: it starts `dipcast up` as a process
// of its own with manifests that it writes, drives it with a load generator of
// its own (raw SIP text and RTP over UDP sockets), and divides what was done
// by the CPU-seconds that the process took (/proc/PID/stat, all threads).
//
// The same load meets the peers in the same run, if they are installed:
// kamailio as registrar and proxy, rtpengine and a bare UDP forwarder as
// relays. On a machine that others use, only the ratios mean something.
//
//	phones (sip.go, phone.go) ─ SIP ─► target: dipcast | kamailio
//	media  (rtp.go)           ─ RTP ─► relay:  dipcast | rtpengine | forwarder
//	chat   (latency.go)       ◄─ HTTP─ dipcast: cards, presses
//
// docs/benchmarks.md says what each row means.
package main
