package mailbox

import (
	"slices"
	"sync"
	"testing"
	"time"
)

func TestOrderAndClose(t *testing.T) {
	b := New[int]()
	if _, ok := b.Take(); ok {
		t.Error("an empty box gives something")
	}
	for i := range 3 {
		if !b.Put(i) {
			t.Error("an open box refuses")
		}
	}
	if b.Len() != 3 {
		t.Errorf("length %d", b.Len())
	}
	if v, ok := b.Take(); !ok || v != 0 {
		t.Errorf("took %d, %t", v, ok)
	}
	if rest := b.Close(); !slices.Equal(rest, []int{1, 2}) {
		t.Errorf("rest %v", rest)
	}
	if b.Put(4) || b.Len() != 0 {
		t.Error("a closed box takes something")
	}
	if rest := b.Close(); rest != nil {
		t.Errorf("rest %v of a closed box", rest)
	}
}

func TestWhatCanBeSparedIsNotPutIntoAFullBox(t *testing.T) {
	b := New[int]()
	for i := range 3 {
		if ok := b.PutBelow(2, i); ok != (i < 2) {
			t.Errorf("item %d was taken: %t", i, ok)
		}
	}
	if !b.Put(3) {
		t.Error("what cannot be spared was refused")
	}
	if rest := b.Close(); !slices.Equal(rest, []int{0, 1, 3}) {
		t.Errorf("rest %v", rest)
	}
	if b.PutBelow(2, 4) {
		t.Error("a closed box takes something")
	}
}

func TestManyPutOneTakes(t *testing.T) {
	const writers, each = 8, 500
	b := New[[2]int]()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				b.Put([2]int{w, i})
			}
		})
	}
	var next [writers]int
	timeout := time.After(20 * time.Second)
	for got := 0; got < writers*each; {
		v, ok := b.Take()
		if !ok {
			select {
			case <-b.Ready():
			case <-timeout:
				t.Fatalf("%d items never came", writers*each-got)
			}
			continue
		}
		if next[v[0]] != v[1] {
			t.Fatalf("writer %d: %d before %d", v[0], v[1], next[v[0]])
		}
		next[v[0]]++
		got++
	}
	wg.Wait()
}

func TestTakingAllocatesNothing(t *testing.T) {
	b := New[int]()
	for i := range 1001 {
		b.Put(i)
	}
	if n := testing.AllocsPerRun(1000, func() { b.Take() }); n != 0 {
		t.Errorf("%.1f allocations", n)
	}
}

// TestABoxThatIsNeverEmptyDoesNotGrow: what was taken gives its room back.
func TestABoxThatIsNeverEmptyDoesNotGrow(t *testing.T) {
	b := New[int]()
	b.Put(0)
	for i := range 10_000 {
		b.Put(i + 1)
		if v, ok := b.Take(); !ok || v != i {
			t.Fatalf("took %d, %t, want %d", v, ok, i)
		}
	}
	if b.Len() != 1 || cap(b.items) > kept {
		t.Errorf("%d items wait in room for %d", b.Len(), cap(b.items))
	}
}

func TestPuttingIntoAnEmptyBoxCostsNothing(t *testing.T) {
	b := New[int]()
	if n := testing.AllocsPerRun(100, func() { b.Put(1); b.Take() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
