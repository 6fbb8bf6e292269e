package gate

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// buckets limits how many unproven messages one source may send. It is a table
// of fixed size: each source has four places where it may be; the one that was
// longest silent makes room. A source that lost its place starts with a full
// bucket, so a flood from many addresses never shuts out a quiet one.
type buckets struct {
	rate  float64 // tokens per second
	burst float64
	seed  maphash.Seed

	mu   sync.Mutex
	sets [][4]bucket
}

// bucket has its source as bytes: a netip.Addr holds a pointer, and the
// collector would look at each of the table's places in each of its cycles.
type bucket struct {
	source [16]byte
	tokens float64
	at     int64 // unix nanoseconds of the last use
}

// bucketSets times four places, 2 MiB.
const bucketSets = 1 << 14

func newBuckets(rate, burst float64, sets int) *buckets {
	return &buckets{rate: rate, burst: burst, seed: maphash.MakeSeed(), sets: make([][4]bucket, sets)}
}

// Quota limits how often something may happen for each of many names, as
// buckets do for sources.
type Quota struct {
	buckets *buckets
	seed    maphash.Seed
}

// quotaSets times four names are told apart, in 64 KiB.
const quotaSets = 1 << 9

// NewQuota permits rate times a second for each name, and burst times at once.
func NewQuota(rate, burst float64) *Quota {
	return &Quota{buckets: newBuckets(rate, burst, quotaSets), seed: maphash.MakeSeed()}
}

// Take reports whether it may happen for that name once more.
func (q *Quota) Take(name string, now time.Time) bool {
	var key [16]byte
	binary.LittleEndian.PutUint64(key[:], maphash.String(q.seed, name))
	binary.LittleEndian.PutUint64(key[8:], maphash.String(q.buckets.seed, name))
	return q.buckets.take(netip.AddrFrom16(key), now)
}

// Network returns what counts as one source: an IPv4 address, or the /64
// network of an IPv6 address, which one host may fill at will.
func Network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is4() || a.IsLoopback() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}

// take reports whether the source may send one more message.
func (b *buckets) take(source netip.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.find(source, now)
	if p.tokens < 1 {
		return false
	}
	p.tokens--
	return true
}

// give returns tokens to a source that has proven itself.
func (b *buckets) give(source netip.Addr, n float64, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.find(source, now)
	p.tokens = min(b.burst, p.tokens+n)
}

func (b *buckets) find(source netip.Addr, now time.Time) *bucket {
	key := source.As16()
	set := &b.sets[maphash.Bytes(b.seed, key[:])%uint64(len(b.sets))]
	nanos := now.UnixNano()
	oldest := &set[0]
	for i := range set {
		p := &set[i]
		if p.source == key {
			p.tokens = min(b.burst, p.tokens+b.rate*time.Duration(max(0, nanos-p.at)).Seconds())
			p.at = nanos
			return p
		}
		if p.at < oldest.at {
			oldest = p
		}
	}
	*oldest = bucket{source: key, tokens: b.burst, at: nanos}
	return oldest
}
