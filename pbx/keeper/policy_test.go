package keeper

import (
	"testing"
	"time"
)

func TestPolicyBeginsAtOnceAndGivesUp(t *testing.T) {
	var p policy
	var sum time.Duration
	last := time.Duration(-1)
	for i := 1; i < tries; i++ {
		pause, again := p.died(0)
		switch {
		case !again:
			t.Fatalf("death %d: given up", i)
		case i == 1 && pause != 0:
			t.Errorf("the first start waits %v", pause)
		case pause < last || pause > lastDelay:
			t.Errorf("death %d: pause %v after %v", i, pause, last)
		}
		last = pause
		sum += pause
	}
	if pause, again := p.died(0); again {
		t.Errorf("death %d: again after %v", tries, pause)
	}
	if sum < 10*time.Second || sum > time.Minute {
		t.Errorf("it tries for %v", sum)
	}
}

func TestPolicyForgivesAfterService(t *testing.T) {
	var p policy
	for i := range 100 {
		for _, served := range []time.Duration{0, steady - 1, steady} {
			if _, again := p.died(served); !again {
				t.Fatalf("round %d: given up", i)
			}
		}
		if pause, _ := p.died(steady); pause != 0 {
			t.Fatalf("round %d: one that has served long waits %v", i, pause)
		}
	}
	if p.restarts != 400 {
		t.Errorf("%d restarts", p.restarts)
	}
}
