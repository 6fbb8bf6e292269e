// Package memjournal is a journal in memory, for tests of those who write one.
package memjournal

import (
	"maps"
	"slices"
	"sync"

	"github.com/dipcast/dipcast/pbx/journal"
)

// Journal implements journal.Store. The zero value is empty.
type Journal struct {
	mu      sync.Mutex
	records map[name]journal.Record
	writes  int
	err     error
}

type name struct{ kind, id string }

var _ journal.Store = (*Journal)(nil)

// PutAll implements journal.Store.
func (j *Journal) PutAll(records ...journal.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	if j.records == nil {
		j.records = map[name]journal.Record{}
	}
	for _, r := range records {
		r.Value = slices.Clone(r.Value)
		j.records[name{r.Kind, r.ID}] = r
		j.writes++
	}
	return nil
}

// Delete implements journal.Store.
func (j *Journal) Delete(kind, id string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.records, name{kind, id})
}

// All implements journal.Store.
func (j *Journal) All(kind string) []journal.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []journal.Record
	for _, r := range j.records {
		if r.Kind == kind {
			out = append(out, r)
		}
	}
	return out
}

// Fail makes every later write fail with err; nil lets them succeed again.
func (j *Journal) Fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = err
}

// Len returns how many records there are.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.records)
}

// Writes returns how many records were written so far.
func (j *Journal) Writes() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.writes
}

// Copy is the journal as a process finds it that begins now.
func (j *Journal) Copy() *Journal {
	j.mu.Lock()
	defer j.mu.Unlock()
	return &Journal{records: maps.Clone(j.records)}
}
