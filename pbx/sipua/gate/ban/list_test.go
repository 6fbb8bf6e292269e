package ban

import (
	"net/netip"
	"strconv"
	"testing"
	"time"
)

func TestBans(t *testing.T) {
	now := time.Unix(1000, 0)
	src, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	limits := Limits{Failures: 3, Users: 4, Within: time.Minute, For: 5 * time.Minute, Sources: 8}

	t.Run("one user from one source", func(t *testing.T) {
		b := New(limits, nil)
		for i := range 3 {
			if b.User(src, "101", now) {
				t.Fatalf("banned after %d failures", i)
			}
			b.Failed(src, "101", now)
		}
		if !b.User(src, "101", now) {
			t.Fatal("not banned after three failures")
		}
		if b.User(src, "102", now) || b.User(other, "101", now) || b.Source(src, now) {
			t.Fatal("the ban reaches others")
		}
		if b.User(src, "101", now.Add(5*time.Minute)) {
			t.Fatal("the ban does not end")
		}
	})
	t.Run("slow failures", func(t *testing.T) {
		b := New(limits, nil)
		for i := range 20 {
			b.Failed(src, "101", now.Add(time.Duration(i)*40*time.Second))
		}
		if b.User(src, "101", now.Add(800*time.Second)) {
			t.Fatal("two failures a minute led to a ban")
		}
	})
	t.Run("a success forgives", func(t *testing.T) {
		b := New(limits, nil)
		b.Failed(src, "101", now)
		b.Failed(src, "101", now)
		b.Succeeded(src, "101", now)
		b.Failed(src, "101", now)
		if b.User(src, "101", now) {
			t.Fatal("failures before the success count")
		}
	})
	t.Run("many users ban the source", func(t *testing.T) {
		b := New(limits, nil)
		for i := range 4 {
			b.Failed(src, strconv.Itoa(i), now)
		}
		if !b.Source(src, now) || b.Source(other, now) {
			t.Fatal("the source is not banned, or another one is")
		}
	})
	t.Run("bounded", func(t *testing.T) {
		b := New(limits, nil)
		for i := range 1000 {
			b.Failed(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), "101", now)
		}
		for i := range 10000 {
			b.Failed(src, strconv.Itoa(i), now)
		}
		if b.Len() > 8 {
			t.Fatalf("%d sources are remembered, want 8", b.Len())
		}
	})
}

// TestAHomeIsNarrowedAndNotBanned: one guesser does not shut out the phones
// behind its address, and these give it no guesses without end.
func TestAHomeIsNarrowedAndNotBanned(t *testing.T) {
	now := time.Unix(1000, 0)
	src := netip.MustParseAddr("192.0.2.1")
	limits := Limits{Failures: 3, Users: 4, Within: time.Minute, For: 5 * time.Minute, Every: 5 * time.Second, Sources: 8}
	for _, tc := range []struct {
		name   string
		home   bool
		before func(b *List)
		banned bool
	}{
		{"nobody's home", false, func(*List) {}, true},
		{"phones are registered there", true, func(*List) {}, false},
		{"phones logged in there before anything failed", false, func(b *List) {
			for i := range 100 {
				b.Succeeded(src, "phone", now.Add(time.Duration(i-100)*time.Second))
			}
		}, false},
		{"a phone logged in there an hour ago", false, func(b *List) {
			b.Succeeded(src, "phone", now.Add(-time.Hour))
			b.Succeeded(netip.MustParseAddr("192.0.2.2"), "phone", now)
		}, false},
		{"a phone logged in there long ago", false, func(b *List) { b.Succeeded(src, "phone", now.Add(-3*time.Hour)) }, true},
		{"a phone of another place logged in", false, func(b *List) { b.Succeeded(netip.MustParseAddr("192.0.2.2"), "phone", now) }, true},
		{"so many logged in that the place is forgotten", false, func(b *List) {
			b.Succeeded(src, "phone", now)
			for i := range 100 {
				b.Succeeded(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), "phone", now)
			}
		}, true},
	} {
		b := New(limits, func(a netip.Addr) bool { return tc.home && a == src })
		tc.before(b)
		for range 3 {
			b.Failed(src, "victim", now)
		}
		for i := range 4 {
			b.Failed(src, strconv.Itoa(i), now)
		}
		if b.Source(src, now) != tc.banned || b.Narrowed(src, now) == tc.banned {
			t.Errorf("%s: banned %v, narrowed %v", tc.name, b.Source(src, now), b.Narrowed(src, now))
		}
		if !b.User(src, "victim", now) {
			t.Errorf("%s: what happened to others lifted a user's ban", tc.name)
		}
		b.Failed(src, "victim", now.Add(2*time.Minute)) // as a call for help
		b.Succeeded(src, "victim", now.Add(2*time.Minute))
		if !b.User(src, "victim", now.Add(2*time.Minute)) {
			t.Errorf("%s: a login that was looked at all the same lifted the ban", tc.name)
		}
	}
}

// TestANarrowedSourceHasFewGuesses counts what one host learns in an hour that
// never stops, beside a phone that logs in all the while.
func TestANarrowedSourceHasFewGuesses(t *testing.T) {
	src := netip.MustParseAddr("192.0.2.1")
	b := New(Limits{}, func(netip.Addr) bool { return true })
	guesses := 0
	for i := range 3600 * 10 { // ten a second
		now := time.Unix(1000, 0).Add(time.Duration(i) * 100 * time.Millisecond)
		b.Succeeded(src, "phone", now)
		if b.Guess(src, now) {
			guesses++
			b.Failed(src, strconv.Itoa(i), now)
		}
	}
	// One in five seconds, and at most twenty in between each five minutes.
	if guesses < 720 || guesses > 720+20*12 {
		t.Errorf("%d guesses", guesses)
	}
}
