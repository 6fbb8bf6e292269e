// Package ban remembers who failed to log in, and says whose requests are
// dropped for it or looked at seldom. It is a bounded table without a clock of
// its own; sources are what the gate counts as one.
package ban
