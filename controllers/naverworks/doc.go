// Package naverworks is the operator's line to NAVER WORKS: one client per
// bot, what an error of the service means to the person who wrote the
// manifests, and whether the bot's callbacks find their way to the right PBX.
//
// It starts no goroutine: every request works in its caller's, with a bound of
// its own, and all share one transport. Credentials live in memory only; no
// error, message or String holds one. The package knows no cluster and writes
// no status: it answers with verdicts, and whoever asked reports them.
package naverworks
