// Package peer runs real SIP programs of Debian as the other side of tests:
// baresip, a phone, and sipp, a load generator. Each runs in a folder and on
// ports of its own on 127.0.0.1, is ended with its test, and is waited for.
// Tests fail if a program is not installed, unless they run with -short;
// hack/apt.txt lists the packages.
package peer
