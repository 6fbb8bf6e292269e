package ports

import (
	"slices"
	"testing"
	"time"
)

func TestStock(t *testing.T) {
	n := NewStock(20001, 20011, time.Minute, func() uint64 { return 3 })
	var got []uint16
	for range 5 {
		p, ok := n.Take(0)
		if !ok || p%2 != 0 || p < 20002 || p > 20010 {
			t.Fatalf("took %d, %v", p, ok)
		}
		got = append(got, p)
	}
	if slices.Sort(got); !slices.Equal(got, []uint16{20002, 20004, 20006, 20008, 20010}) {
		t.Errorf("took %v", got)
	}
	if p, ok := n.Take(0); ok {
		t.Errorf("took %d of an empty stock", p)
	}
	n.Put(20004, 0)
	n.Put(20002, int64(30*time.Second))
	if p, _ := n.Take(int64(59 * time.Second)); p != 20004 {
		t.Errorf("took %d, want 20004, which has rested longest", p)
	}
	n.Put(20006, int64(80*time.Second))
	if p, _ := n.Take(int64(90 * time.Second)); p != 20002 {
		t.Errorf("took %d, want 20002, which has rested enough", p)
	}
}
