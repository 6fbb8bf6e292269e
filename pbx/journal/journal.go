package journal

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
)

// DefaultLimit is how many bytes of live records a journal takes unless
// Options say otherwise: those of some 5,000 calls.
const DefaultLimit = 64 << 20

// Errors of Open and Put.
var (
	ErrLocked = errors.New("another process has the journal")
	ErrFull   = errors.New("the journal is full")
	ErrClosed = errors.New("the journal is closed")
	ErrTooBig = errors.New("the record is too big for the journal")
)

// Options are what may differ between journals. Zero fields take the defaults.
type Options struct {
	// Limit bounds the live records, in bytes; the file takes up to four times
	// as much. 0 = DefaultLimit.
	Limit int64
	Log   *slog.Logger // nil = silent
}

// Record is one record.
type Record struct {
	Kind, ID string // at most 255 bytes each
	Value    []byte // at most MaxValue
}

// Stats are the figures of a journal.
type Stats struct {
	Records int   // live ones
	Live    int64 // bytes that they take
	Size    int64 // of the file, in bytes
	// Failing is true from a write or sync that failed to the next that did not.
	Failing bool
	Errors  uint64 // writes and syncs that failed, records that were refused
}

// Journal is an open journal. Its methods may be called from any goroutine.
type Journal struct {
	path  string
	limit int64
	log   *slog.Logger
	seal  sealer
	count atomic.Uint64 // frames of this process
	bufs  sync.Pool     // of *[]byte
	wake  chan struct{} // for the owner: the file is worth compacting
	stop  context.CancelFunc
	done  chan struct{}
	lock  *os.File

	mu      sync.Mutex
	keys    *keyring
	file    *os.File
	size    int64 // of the file as far as it is good
	index   map[key]place
	live    int64
	pending []byte // removals that the next write takes along
	dirty   bool   // written since the last sync
	stats   Stats
	closed  bool
}

// Open reads the journal in the file, or begins it, and starts its goroutine.
// secret are 32 random bytes or more. A lock beside the file (".lock") keeps
// others out until Close or the end of the process; Open waits for whoever has
// it as long as ctx lasts and then fails with ErrLocked.
func Open(ctx context.Context, path string, secret []byte, o Options) (*Journal, error) {
	keys, err := newKeyring(secret)
	if err != nil {
		return nil, err
	}
	j := &Journal{
		path: path, limit: cmp.Or(o.Limit, DefaultLimit), log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
		keys: keys, wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	j.bufs.New = func() any { b := make([]byte, 0, 4<<10); return &b }
	if _, err := rand.Read(j.seal.salt[:]); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if j.seal.aead, err = keys.of(j.seal.salt); err != nil {
		return nil, err
	}
	if j.lock, err = acquire(ctx, path+lockSuffix); err != nil {
		return nil, err
	}
	if err := j.read(); err != nil {
		_ = j.lock.Close() // nothing was begun
		return nil, err
	}
	owner, stop := context.WithCancel(context.WithoutCancel(ctx))
	j.stop = stop
	go j.own(owner)
	return j, nil
}

// read takes over what the file holds.
func (j *Journal) read() error {
	_ = os.Remove(j.path + newSuffix) // of a compaction that a crash cut short
	data, err := os.ReadFile(j.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("journal: %w", err)
	}
	f := j.keys.scan(data)
	if f.bad > 0 || f.torn {
		j.log.Warn("the journal of live calls was damaged and is used without what is lost", "file", j.path, "stretches", f.bad, "torn", f.torn)
	}
	if f.keys > 0 {
		j.log.Error("records in the journal of live calls were written under another key and are given up: was the key file replaced?", "file", j.path, "records", f.keys)
	}
	if j.file, err = os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.index, j.size = f.index, f.end
	for _, p := range j.index {
		j.live += int64(p.n)
	}
	_ = j.file.Truncate(j.size) // else the next write covers the torn tail
	j.checkSize()
	return nil
}

// Put writes a record in place of the one with its kind and ID. When it
// returns without an error the record outlives this process. One that fails
// leaves the record as it was.
func (j *Journal) Put(kind, id string, value []byte) error {
	return j.PutAll(Record{kind, id, value})
}

// PutAll is Put for several records in one write: all of them or none.
func (j *Journal) PutAll(records ...Record) error {
	buf, _ := j.bufs.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= 64<<10 {
			j.bufs.Put(buf)
		}
	}()
	b := (*buf)[:0]
	places := make([]place, len(records))
	for i, r := range records {
		if len(r.Kind) > maxName || len(r.ID) > maxName || len(r.Value) > MaxValue {
			return fmt.Errorf("%w: %s %s with %d bytes", ErrTooBig, r.Kind, r.ID, len(r.Value))
		}
		at := len(b)
		b = j.seal.seal(b, j.count.Add(1), put, key{r.Kind, r.ID}, r.Value)
		places[i] = place{int64(at), len(b) - at}
	}
	*buf = b
	j.mu.Lock()
	defer j.mu.Unlock()
	growth := int64(0)
	for i, r := range records {
		growth += int64(places[i].n - j.index[key{r.Kind, r.ID}].n)
	}
	if err := j.room(growth, len(b)); err != nil {
		return err
	}
	at := j.size + int64(len(j.pending))
	if err := j.write(b); err != nil {
		return err
	}
	for i, r := range records {
		places[i].at += at
		j.index[key{r.Kind, r.ID}] = places[i]
	}
	j.live += growth
	j.checkSize()
	return nil
}

// room refuses what the bounds do not allow.
func (j *Journal) room(growth int64, frame int) error {
	switch {
	case j.closed:
		return ErrClosed
	case growth > 0 && j.live+growth > j.limit, j.size+int64(frame+len(j.pending)) > 4*j.limit:
		j.failed(ErrFull)
		return fmt.Errorf("%w: %d bytes of live records, %d of file, the limit is %d", ErrFull, j.live, j.size, j.limit)
	}
	return nil
}

// write appends what is pending and b; the caller holds mu. After an error the
// file is good as far as before.
func (j *Journal) write(b []byte) error {
	if n := len(j.pending); n > 0 {
		j.pending = append(j.pending, b...)
		b = j.pending
		defer func() { j.pending = j.pending[:min(n, len(j.pending))] }()
	}
	if _, err := j.file.WriteAt(b, j.size); err != nil {
		_ = j.file.Truncate(j.size) // else the next write covers what was written
		j.failed(err)
		return fmt.Errorf("journal: %w", err)
	}
	j.size += int64(len(b))
	j.pending, j.dirty = j.pending[:0], true
	if j.stats.Failing && j.live < j.limit/2 {
		j.stats.Failing = false
		j.log.Info("the journal of live calls is written again", "file", j.path)
	}
	return nil
}

// failed counts an error and tells the first of a row; the caller holds mu.
func (j *Journal) failed(err error) {
	j.stats.Errors++
	if !j.stats.Failing {
		j.stats.Failing = true
		j.log.Error("the journal of live calls cannot be written: calls go on, and would not outlive this process", "file", j.path, "error", err)
	}
}

// Delete forgets a record. It is written along with the next Put, at the
// latest after a second: who comes back to a record after a crash must bear
// that it is there still.
func (j *Journal) Delete(kind, id string) {
	k := key{kind, id}
	j.mu.Lock()
	defer j.mu.Unlock()
	p, ok := j.index[k]
	if !ok || j.closed {
		return
	}
	delete(j.index, k)
	j.live -= int64(p.n)
	j.pending = j.seal.seal(j.pending, j.count.Add(1), remove, k, nil)
}

// All returns the records of a kind, the one that was written longest ago
// first. What cannot be read any more is left out.
func (j *Journal) All(kind string) []Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	type found struct {
		id string
		at place
	}
	var list []found
	for k, p := range j.index {
		if k.kind == kind {
			list = append(list, found{k.id, p})
		}
	}
	slices.SortFunc(list, func(a, b found) int { return cmp.Compare(a.at.at, b.at.at) })
	out := make([]Record, 0, len(list))
	for _, f := range list {
		frame := make([]byte, f.at.n)
		if _, err := j.file.ReadAt(frame, f.at.at); err != nil {
			j.failed(err)
			continue
		}
		if c, err := j.keys.unseal(frame); err == nil {
			out = append(out, Record{kind, f.id, c.value})
		}
	}
	return out
}

// Stats returns the figures.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	s.Records, s.Live, s.Size = len(j.index), j.live, j.size
	return s
}

// Close writes what is pending, syncs, ends the goroutine and gives the lock
// back. Closing twice is harmless.
func (j *Journal) Close() error {
	j.stop()
	<-j.done
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	return errors.Join(j.flush(), j.file.Sync(), j.file.Close(), j.lock.Close())
}
