package ports

import (
	"net/netip"
	"testing"
	"time"
)

// aside is a shelf with so many pairs, laid aside at the given moment.
func aside(t *testing.T, s *Shelf, f *Family, n int, at time.Duration) {
	t.Helper()
	for i := range n {
		if !s.Put(&Pair{Number: uint16(2 * i), family: f}, int64(at)) {
			t.Fatalf("no room for pair %d", i)
		}
	}
}

func TestShelf(t *testing.T) {
	const begin = time.Minute
	four, six := &Family{}, &Family{}
	take := func(s *Shelf, f *Family, at time.Duration) bool { return s.Take(f, int64(at)) != nil }
	for _, tt := range []struct {
		name string
		do   func(s *Shelf) bool
		want bool
	}{
		{"quiet", func(s *Shelf) bool {
			aside(t, s, four, spare, begin)
			return take(s, four, begin+quiet)
		}, true},
		{"too early", func(s *Shelf) bool {
			aside(t, s, four, spare, begin)
			return take(s, four, begin+quiet-1)
		}, false},
		{"too few", func(s *Shelf) bool {
			aside(t, s, four, spare-1, begin)
			aside(t, s, four, 1, begin+1)
			return take(s, four, begin+quiet)
		}, false},
		{"of another family", func(s *Shelf) bool {
			aside(t, s, six, spare, begin)
			return take(s, four, begin+quiet)
		}, false},
		{"still heard", func(s *Shelf) bool {
			aside(t, s, four, spare, begin)
			for _, p := range s.list {
				p.Read(nil, netip.AddrPort{}, int64(begin+1))
			}
			return take(s, four, begin+quiet)
		}, false},
		{"heard no more", func(s *Shelf) bool {
			aside(t, s, four, spare, begin)
			for _, p := range s.list {
				p.Read(nil, netip.AddrPort{}, int64(begin+1))
			}
			return take(s, four, begin+1+quiet)
		}, true},
	} {
		if got := tt.do(NewShelf(10_000, 10_000, func() uint64 { return 5 })); got != tt.want {
			t.Errorf("%s: taken %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestAPairIsTakenOnce(t *testing.T) {
	f, s := &Family{}, NewShelf(10_000, 10_000, func() uint64 { return 5 })
	aside(t, s, f, spare+1, 0)
	now := int64(time.Hour)
	for _, want := range []uint16{10, 12} { // the sixth, then what has taken its place
		if p := s.Take(f, now); p == nil || p.Number != want || !p.Polled || s.Has(want) {
			t.Fatalf("took %+v, want number %d, once", p, want)
		}
	}
	if s.Len() != spare-1 {
		t.Errorf("%d are left", s.Len())
	}
}

func TestAShelfIsBounded(t *testing.T) {
	for _, tt := range []struct{ numbers, files, want int }{
		{100_000, 1 << 20, mostPairs},
		{2000, 1 << 20, 500},
		{4096, 1024, 128},
		{400, 1 << 20, 0},
		{4096, 1000, 0},
	} {
		s := NewShelf(tt.numbers, tt.files, nil)
		n := 0
		for n < 2*mostPairs && s.Put(new(Pair), 0) {
			n++
		}
		if n != tt.want {
			t.Errorf("%d numbers, %d files: room for %d pairs, want %d", tt.numbers, tt.files, n, tt.want)
		}
	}
}

func TestStalePairsAreGivenUp(t *testing.T) {
	s := NewShelf(10_000, 10_000, nil)
	aside(t, s, nil, 3, 0)
	aside(t, s, nil, 2, time.Second)
	for _, tt := range []struct {
		at   time.Duration
		want int
	}{{stale - 1, 0}, {stale, 3}, {stale + time.Second, 2}} {
		if got := len(s.Stale(int64(tt.at))); got != tt.want {
			t.Errorf("after %v: %d given up, want %d", tt.at, got, tt.want)
		}
	}
}
