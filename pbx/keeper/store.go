package keeper

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"
)

// store holds descriptors by name. One goroutine at a time has it.
type store struct {
	names map[string][]int
	files int
	most  int // files that may be held
}

func newStore(most int) *store {
	return &store{names: make(map[string][]int), most: most}
}

// errFull refuses what is beyond the limit of descriptors.
var errFull = errors.New("too many descriptors are held: raise the limit of open files (ulimit -n)")

// put holds the files in place of what the name had; they are the store's from
// now on, also when it refuses them.
func (s *store) put(m message) error {
	s.drop(m.name)
	if s.files+len(m.files) > s.most {
		m.close()
		return fmt.Errorf("%s: %w", m.name, errFull)
	}
	if len(m.files) > 0 {
		s.names[m.name] = m.files
		s.files += len(m.files)
	}
	return nil
}

func (s *store) drop(name string) {
	for _, fd := range s.names[name] {
		_ = syscall.Close(fd) // a copy: nothing of it is ours
		s.files--
	}
	delete(s.names, name)
}

// handle does what a message of the child asks for; ready reports that it
// serves. The message's files are taken care of in any case.
func (s *store) handle(m message) (ready bool, err error) {
	switch m.verb {
	case verbKeep:
		return false, s.put(m)
	case verbDrop:
		s.drop(m.name)
	case verbReady:
		ready = true
	case verbRelease:
		s.close()
	default:
		err = fmt.Errorf("%w: verb %q is the parent's", errMessage, m.verb)
	}
	m.close()
	return ready, err
}

// all returns the names in order.
func (s *store) all() []string { return slices.Sorted(maps.Keys(s.names)) }

func (s *store) close() {
	for _, name := range s.all() {
		s.drop(name)
	}
}
