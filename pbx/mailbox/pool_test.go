package mailbox

import (
	"sync"
	"testing"
	"testing/synctest"
)

// TestAServedBoxIsServedInOrder by one goroutine at a time, and by none while
// it is empty.
func TestAServedBoxIsServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool()
		defer p.Close()
		b := New[int]()
		var mu sync.Mutex
		var got []int
		serving := 0
		b.Serve(func() {
			p.Go(func() {
				mu.Lock()
				serving++
				if serving > 1 {
					t.Error("two goroutines serve the box")
				}
				mu.Unlock()
				for {
					v, ok := b.Take()
					mu.Lock()
					if ok {
						got = append(got, v)
					} else {
						serving--
					}
					mu.Unlock()
					if !ok {
						return
					}
				}
			})
		})
		const n = 1000
		for i := range n {
			b.Put(i)
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if len(got) != n || serving != 0 {
			t.Fatalf("%d items were served, %d goroutines are at it; want %d and none", len(got), serving, n)
		}
		for i, v := range got {
			if v != i {
				t.Fatalf("item %d is %d", i, v)
			}
		}
	})
}

// TestAPoolRunsEverythingAtOnce: work that blocks holds up nothing else.
func TestAPoolRunsEverythingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool()
		defer p.Close()
		const n = 10 * Parked
		gate := make(chan struct{})
		var running sync.WaitGroup
		running.Add(n)
		for range n {
			p.Go(func() {
				running.Done()
				<-gate
			})
		}
		running.Wait() // all of them run, or this hangs
		close(gate)
		synctest.Wait()
		if idle := p.idle.Load(); idle != Parked {
			t.Errorf("%d goroutines are kept, want %d", idle, Parked)
		}
	})
}
