package fleet

import "k8s.io/apimachinery/pkg/types"

// ForgetAnswer makes the next Assign choose anew.
func (f *Fleet) ForgetAnswer(name types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.answers, name)
}
