// Package pbxtest holds what tests of the PBX share: a lossy link between two
// UDP addresses, free ports, tones as WAV files and their proof. Its
// sub-packages start programs of Debian: pgtest a PostgreSQL, peer the SIP
// phones baresip and sipp.
//
// Only tests import it. Whatever it starts has an owner (a testing.TB or a
// Stop method) that ends it and waits; it ends no process that it did not
// start.
package pbxtest
