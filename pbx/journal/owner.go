package journal

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	// syncEvery is how much a loss of power costs.
	syncEvery = time.Second
	// compactAt is the size below which nobody minds garbage.
	compactAt = 4 << 20
	// newSuffix is the name of the file that a compaction writes.
	newSuffix = ".new"
	// lockSuffix is the name of the file whose lock the journal's process has,
	// nextSuffix of the one beside it that the next process has while it waits.
	lockSuffix, nextSuffix = ".lock", ".next"
	// lockEvery is the pause between two looks at a lock that is held.
	lockEvery = 20 * time.Millisecond
)

// acquire locks the file, waiting for whoever has it while ctx lasts. Who waits
// locks another file beside it, by which the other one sees that it is awaited;
// the kernel takes both locks from a process that dies.
func acquire(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	var waiting *os.File
	defer func() {
		if waiting != nil {
			_ = waiting.Close() // gives its lock back
		}
	}()
	again := time.NewTicker(lockEvery)
	defer again.Stop()
	for {
		got, err := lock(f)
		if got {
			return f, nil
		}
		if err == nil && waiting == nil {
			waiting, err = tryLock(path + nextSuffix)
		}
		if err != nil {
			_ = f.Close() // it was never used
			return nil, fmt.Errorf("journal: lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			_ = f.Close() // it was never used
			return nil, fmt.Errorf("%w: %s is locked: one data folder serves one PBX at a time", ErrLocked, path)
		case <-again.C:
		}
	}
}

// lock takes a file's lock if nobody has it.
func lock(f *os.File) (got bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return false, nil
	}
	return err == nil, err
}

// tryLock returns the file with its lock; nil: another process has it.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	got, err := lock(f)
	if !got {
		_ = f.Close() // it was never used
		return nil, err
	}
	return f, nil
}

// Awaited reports whether another process waits in Open for this one's end.
func (j *Journal) Awaited() (bool, error) {
	f, err := tryLock(j.path + lockSuffix + nextSuffix)
	if err != nil {
		return false, fmt.Errorf("journal: %w", err)
	}
	if f == nil {
		return true, nil
	}
	return false, f.Close()
}

// own is the owner goroutine: it writes what is pending, syncs and compacts.
func (j *Journal) own(ctx context.Context) {
	defer close(j.done)
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	wake := j.wake
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			j.tick()
			wake = j.wake
		case <-wake:
			if err := j.compact(); err != nil {
				j.mu.Lock()
				j.failed(err)
				j.mu.Unlock()
				wake = nil // tried again after a tick, not with each write
			}
		}
	}
}

// tick syncs what was written since the last one. A compaction that failed is
// tried again, also when the file is so big that nothing is written any more.
func (j *Journal) tick() {
	j.mu.Lock()
	_ = j.flush() // told by write
	j.checkSize()
	file, dirty := j.file, j.dirty
	j.dirty = false
	j.mu.Unlock()
	if !dirty {
		return
	}
	if err := file.Sync(); err != nil {
		j.mu.Lock()
		j.dirty = true
		j.failed(err)
		j.mu.Unlock()
	}
}

// flush writes what is pending; the caller holds mu.
func (j *Journal) flush() error {
	if len(j.pending) == 0 {
		return nil
	}
	return j.write(nil)
}

// checkSize wakes the owner when most of the file is garbage; the caller holds mu.
func (j *Journal) checkSize() {
	if !j.garbage() {
		return
	}
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

func (j *Journal) garbage() bool {
	return j.size > min(compactAt, 2*j.limit) && j.size > 2*j.live
}

// compact writes the live records anew. Puts go on meanwhile: what they append
// is copied at the end, while nobody writes.
func (j *Journal) compact() error {
	j.mu.Lock()
	old, end, index, worth := j.file, j.size, maps.Clone(j.index), j.garbage()
	j.mu.Unlock()
	if !worth {
		return nil
	}
	fresh, err := os.OpenFile(j.path+newSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	moved, size, err := copyLive(fresh, old, index)
	if lost := len(index) - len(moved); err == nil && lost > 0 {
		j.log.Error("records in the journal of live calls cannot be read any more and are given up", "file", j.path, "records", lost)
	}
	if err == nil {
		err = j.swap(fresh, end, moved, size)
	}
	if err != nil {
		_, _ = fresh.Close(), os.Remove(j.path+newSuffix) // the old file goes on
		return fmt.Errorf("journal: compaction: %w", err)
	}
	_ = old.Close() // synced or not, its successor has it all
	return syncFolder(filepath.Dir(j.path))
}

// copyLive writes the frames of an index to another file and returns where
// they are there, and how long it is. What cannot be read is left out: one bad
// block must not keep the file from being compacted for ever.
func copyLive(to, from *os.File, index map[key]place) (moved map[key]place, size int64, err error) {
	order := slices.SortedFunc(maps.Keys(index), func(a, b key) int { return cmp.Compare(index[a].at, index[b].at) })
	moved = make(map[key]place, len(index))
	w := bufio.NewWriterSize(to, 1<<16)
	var buf []byte
	for _, k := range order {
		p := index[k]
		buf = slices.Grow(buf[:0], p.n)[:p.n]
		if _, err := from.ReadAt(buf, p.at); err != nil {
			continue
		}
		if _, err := cut(buf); err != nil {
			continue // damaged since it was written: it would be of no use
		}
		if _, err := w.Write(buf); err != nil {
			return nil, 0, err
		}
		moved[k] = place{size, p.n}
		size += int64(p.n)
	}
	return moved, size, errors.Join(w.Flush(), to.Sync())
}

// swap appends what was written since the copy began and puts the new file in
// the place of the old one.
func (j *Journal) swap(fresh *os.File, end int64, moved map[key]place, size int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	tail := make([]byte, j.size-end)
	if _, err := j.file.ReadAt(tail, end); err != nil && len(tail) > 0 {
		return err
	}
	if _, err := fresh.WriteAt(tail, size); err != nil {
		return err
	}
	if err := os.Rename(fresh.Name(), j.path); err != nil {
		return err
	}
	live := int64(0)
	for k, p := range j.index {
		if p.at >= end {
			p.at += size - end
		} else if p = moved[k]; p.n == 0 {
			delete(j.index, k)
			continue
		}
		j.index[k] = p
		live += int64(p.n)
	}
	j.file, j.size, j.live, j.dirty = fresh, size+int64(len(tail)), live, true
	return nil
}

// syncFolder makes a rename outlive a loss of power.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
