// Package roster decides which extensions a NAVER WORKS directory gives a
// plan.
//
//	members ─ FromUser ─► people ─┐
//	manifests ─ NewClaims ► claims├─ Decide ─► extensions in force, pending, notes
//	status.directory ──► current ─┘
//
// Decide is pure: no clock, no network, no cluster; the same input gives the
// same outcome, sorted. What a manifest says wins over the directory. Of two
// people with one number nobody wins in silence: who has it keeps it, else
// neither gets it, and a note names both. Where more numbers would vanish than
// the plan allows, all of them stay until the removal is approved: an empty
// page of the directory must not silence a company.
//
// Read reads extensions out of free text, since the directory's telephone field
// is that. The package imports api and pbx/works and must not learn of clients
// or caches.
package roster
