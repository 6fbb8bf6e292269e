package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// A kubelet that hears of the pod's new annotation before it hears of the new
// Secret mounts the old document once more, and then looks again after a minute
// or more. It is asked again sooner, and ever more seldom, since it may be dead.
const (
	nudgeFirst = 3 * time.Second
	nudgeMost  = time.Minute
)

// nudges remembers when kubelets were asked last, by tenant.
type nudges struct {
	mu sync.Mutex
	of map[types.NamespacedName]nudge
}

type nudge struct {
	generation string
	last       time.Time
	wait       time.Duration
}

// due reports whether the kubelet is to be asked again for that document, and
// in how long the question is to be put again.
func (n *nudges) due(name types.NamespacedName, generation string, now time.Time) (bool, time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[types.NamespacedName]nudge{}
	}
	is, known := n.of[name]
	if !known || is.generation != generation {
		n.of[name] = nudge{generation, now, nudgeFirst}
		return false, nudgeFirst
	}
	if rest := is.wait - now.Sub(is.last); rest > 0 {
		return false, rest
	}
	is.last, is.wait = now, min(2*is.wait, nudgeMost)
	n.of[name] = is
	return true, is.wait
}

// forget drops what is remembered: the PBX has the document, or is gone.
func (n *nudges) forget(name types.NamespacedName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.of, name)
}
