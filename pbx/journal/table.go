package journal

import (
	"hash/maphash"
	"sync"

	"github.com/dipcast/dipcast/pbx/journal/pack"
)

// Store is a journal as those who write to it see it; *Journal is one.
type Store interface {
	PutAll(records ...Record) error
	Delete(kind, id string)
	All(kind string) []Record
}

var _ Store = (*Journal)(nil)

// Table is the records of one kind in a store, each a T. Its methods may be
// called from any goroutine. A Table without a store keeps nothing.
type Table[T any] struct {
	store Store
	kind  string
	codec *pack.Codec[T]
	seed  maphash.Seed
	bufs  sync.Pool // of *[]byte
}

// Mark tells one value of a T from another; 0 is that of none.
type Mark uint64

// NewTable returns the table of a kind. It panics on a T that package pack
// cannot write: kinds and types are constants of this program.
func NewTable[T any](s Store, kind string) *Table[T] {
	codec, err := pack.For[T]()
	if err != nil {
		panic(err)
	}
	t := &Table[T]{store: s, kind: kind, codec: codec, seed: maphash.MakeSeed()}
	t.bufs.New = func() any { b := make([]byte, 0, 2<<10); return &b }
	return t
}

// Keeps reports whether there is a store.
func (t *Table[T]) Keeps() bool { return t.store != nil }

// Put writes v unless it is what was written before, whose mark is `last`, and
// returns the mark of what is written now.
func (t *Table[T]) Put(id string, v *T, last Mark) (Mark, error) {
	if t.store == nil {
		return last, nil
	}
	buf, _ := t.bufs.Get().(*[]byte)
	defer t.bufs.Put(buf)
	*buf = t.codec.Append((*buf)[:0], v)
	mark := Mark(maphash.Bytes(t.seed, *buf)) | 1
	if mark == last {
		return last, nil
	}
	if err := t.store.PutAll(Record{t.kind, id, *buf}); err != nil {
		return last, err
	}
	return mark, nil
}

// Pack returns the record of v, to be written with others by PutAll.
func (t *Table[T]) Pack(id string, v *T) Record {
	return Record{t.kind, id, t.codec.Append(nil, v)}
}

// PutAll writes records that Pack has made, in one write.
func (t *Table[T]) PutAll(records []Record) error {
	if t.store == nil || len(records) == 0 {
		return nil
	}
	return t.store.PutAll(records...)
}

// Delete forgets a record, as Journal.Delete does.
func (t *Table[T]) Delete(id string) {
	if t.store != nil {
		t.store.Delete(t.kind, id)
	}
}

// All returns the records by their IDs. What cannot be read is left out.
func (t *Table[T]) All() map[string]*T {
	if t.store == nil {
		return nil
	}
	out := make(map[string]*T)
	for _, r := range t.store.All(t.kind) {
		v := new(T)
		if t.codec.Read(r.Value, v) == nil {
			out[r.ID] = v
		}
	}
	return out
}
