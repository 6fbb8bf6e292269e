package bot

import "iter"

// bounded is a map that forgets its oldest entry when it is full, so that no
// input can make it grow. It is not safe for concurrent use.
type bounded[K comparable, V any] struct {
	limit int
	nodes map[K]*node[K, V]
	// root closes the ring: root.next is the oldest node, root.prev the newest.
	root node[K, V]
}

type node[K comparable, V any] struct {
	key        K
	value      V
	prev, next *node[K, V]
}

func newBounded[K comparable, V any](limit int) *bounded[K, V] {
	b := &bounded[K, V]{limit: limit, nodes: map[K]*node[K, V]{}}
	b.root.prev, b.root.next = &b.root, &b.root
	return b
}

func (b *bounded[K, V]) get(k K) (v V, ok bool) {
	if n, found := b.nodes[k]; found {
		return n.value, true
	}
	return v, false
}

// put stores v under k. A key that is there already keeps its age.
func (b *bounded[K, V]) put(k K, v V) {
	if n, ok := b.nodes[k]; ok {
		n.value = v
		return
	}
	if len(b.nodes) >= b.limit {
		b.remove(b.root.next.key)
	}
	n := &node[K, V]{key: k, value: v, prev: b.root.prev, next: &b.root}
	n.prev.next, b.root.prev = n, n
	b.nodes[k] = n
}

// oldest returns the entry that was put first; ok is false if there is none.
func (b *bounded[K, V]) oldest() (k K, v V, ok bool) {
	if len(b.nodes) == 0 {
		return k, v, false
	}
	return b.root.next.key, b.root.next.value, true
}

// all yields the entries, oldest first; it must not be changed meanwhile.
func (b *bounded[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for n := b.root.next; n != &b.root; n = n.next {
			if !yield(n.key, n.value) {
				return
			}
		}
	}
}

func (b *bounded[K, V]) remove(k K) {
	if n, ok := b.nodes[k]; ok {
		n.prev.next, n.next.prev = n.next, n.prev
		delete(b.nodes, k)
	}
}

func (b *bounded[K, V]) size() int { return len(b.nodes) }
