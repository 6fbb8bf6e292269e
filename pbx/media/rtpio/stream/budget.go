package stream

import "time"

// Budget bounds the packets that one port handles: a flood from the peer's
// own address, or packets that go round between two ports, cost no more than
// ten calls.
type Budget struct {
	tokens int64 // nanoseconds' worth
	at     int64
}

const (
	packetCost = int64(time.Second) / 500
	maxTokens  = packetCost * 500
)

// Spend takes one packet's share, or reports false if nothing is left.
func (b *Budget) Spend(now int64) bool {
	if b.at == 0 {
		b.tokens = maxTokens
	}
	b.tokens = min(maxTokens, b.tokens+now-b.at)
	b.at = now
	if b.tokens < packetCost {
		return false
	}
	b.tokens -= packetCost
	return true
}
