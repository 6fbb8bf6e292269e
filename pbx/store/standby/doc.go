// Package standby keeps a copy of the registrations in the journal, for a
// database that is on another machine and may be away when the PBX starts: its
// phones can be called all the same. The journal is written first, so that its
// copy is never the older one.
package standby
