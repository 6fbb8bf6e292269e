package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func secret() []byte { return bytes.Repeat([]byte("k"), 32) }

// open opens a journal that ends with the test.
func open(t *testing.T, path string, o Options) *Journal {
	t.Helper()
	j, err := Open(t.Context(), path, secret(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func file(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "calls.journal")
}

// mustPut writes a record that must be taken.
func mustPut(t *testing.T, j *Journal, kind, id, value string) {
	t.Helper()
	if err := j.Put(kind, id, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

// holds checks the records of a kind.
func holds(t *testing.T, j *Journal, kind string, want ...string) {
	t.Helper()
	var got []string
	for _, r := range j.All(kind) {
		got = append(got, r.ID+"="+string(r.Value))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %q, want %q", kind, got, want)
	}
}

// crash is what another process finds after this one was killed: the file as
// the kernel has it, in another place since the lock is held.
func crash(t *testing.T, j *Journal) *Journal {
	t.Helper()
	data, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	return reopen(t, data, Options{})
}

func reopen(t *testing.T, data []byte, o Options) *Journal {
	t.Helper()
	path := file(t)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, path, o)
}

func TestTheLastOfEachRecordOutlivesTheProcess(t *testing.T) {
	j := open(t, file(t), Options{})
	mustPut(t, j, "call", "a", "1")
	mustPut(t, j, "call", "b", "1")
	mustPut(t, j, "leg", "a", "leg of a")
	mustPut(t, j, "call", "a", "2")
	mustPut(t, j, "call", "c", "")
	j.Delete("call", "b")
	j.Delete("call", "nobody")
	if err := j.PutAll(Record{"port", "p", []byte("1")}, Record{"port", "q", []byte("2")}); err != nil {
		t.Fatal(err)
	}
	for name, j := range map[string]*Journal{"here": j, "after a crash": crash(t, j)} {
		t.Run(name, func(t *testing.T) {
			holds(t, j, "call", "a=2", "c=")
			holds(t, j, "leg", "a=leg of a")
			holds(t, j, "port", "p=1", "q=2")
			holds(t, j, "press")
		})
	}
}

func TestCloseWritesWhatWasDeleted(t *testing.T) {
	path := file(t)
	j := open(t, path, Options{})
	mustPut(t, j, "call", "a", "1")
	j.Delete("call", "a")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if err := j.Put("call", "b", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a Put after Close: %v", err)
	}
	j.Delete("call", "a")
	holds(t, open(t, path, Options{}), "call")
}

// Nothing of what was written before is lost wherever the last write ends.
func TestATornTailIsCutOff(t *testing.T) {
	j := open(t, file(t), Options{})
	mustPut(t, j, "call", "a", "1")
	whole := j.Stats().Size
	mustPut(t, j, "call", "a", "2")
	data, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	for end := whole; end < int64(len(data)); end++ {
		again := reopen(t, data[:end], Options{})
		holds(t, again, "call", "a=1")
		mustPut(t, again, "call", "b", "after")
		holds(t, crash(t, again), "call", "a=1", "b=after")
	}
}

// Damage costs the record that it lies in.
func TestDamageInTheMidst(t *testing.T) {
	j := open(t, file(t), Options{})
	mustPut(t, j, "call", "a", "1")
	from := j.Stats().Size
	mustPut(t, j, "call", "b", "2")
	to := j.Stats().Size
	mustPut(t, j, "call", "c", "3")
	data, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	for at := from; at < to; at++ {
		broken := bytes.Clone(data)
		broken[at] ^= 0x40
		holds(t, reopen(t, broken, Options{}), "call", "a=1", "c=3")
	}
	hole := bytes.Clone(data)
	clear(hole[from+3 : to])
	holds(t, reopen(t, hole, Options{}), "call", "a=1", "c=3")
}

func TestNothingCanBeReadWithoutTheKey(t *testing.T) {
	j := open(t, file(t), Options{})
	mustPut(t, j, "leg", "somebody", "inline:SRTP-key")
	data, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{"SRTP-key", "somebody", "leg"} {
		if bytes.Contains(data, []byte(plain)) {
			t.Errorf("the file shows %q", plain)
		}
	}
	path := file(t)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	other, err := Open(t.Context(), path, bytes.Repeat([]byte("x"), 32), Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	holds(t, other, "leg")
	if !strings.Contains(log.String(), "another key") {
		t.Errorf("the log says %q", &log)
	}
	if _, err := Open(t.Context(), file(t), []byte("short"), Options{}); err == nil {
		t.Error("a short key was taken")
	}
}

func TestOneProcessAtATime(t *testing.T) {
	path := file(t)
	j := open(t, path, Options{})
	mustPut(t, j, "call", "a", "1")
	short, cancel := context.WithTimeout(t.Context(), 3*lockEvery)
	defer cancel()
	if _, err := Open(short, path, secret(), Options{}); !errors.Is(err, ErrLocked) {
		t.Fatalf("a second one: %v", err)
	}
	awaited := func(want bool) {
		t.Helper()
		for {
			is, err := j.Awaited()
			if err != nil {
				t.Fatal(err)
			}
			if is == want {
				return
			}
			runtime.Gosched()
		}
	}
	awaited(false) // the second one has given up
	// Whoever waits gets it as soon as the first is gone.
	got := make(chan error, 1)
	ctx := t.Context()
	go func() {
		next, err := Open(ctx, path, secret(), Options{})
		if err == nil && len(next.All("call")) != 1 {
			err = errors.New("the record is not there")
		}
		if next != nil {
			err = errors.Join(err, next.Close())
		}
		got <- err
	}()
	awaited(true)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestTheJournalIsBounded(t *testing.T) {
	j := open(t, file(t), Options{Limit: 10_000})
	value := strings.Repeat("v", 1000)
	n := 0
	var err error
	for ; n < 100 && err == nil; n++ {
		err = j.Put("call", fmt.Sprint(n), []byte(value))
	}
	if !errors.Is(err, ErrFull) || n != 10 || !j.Stats().Failing {
		t.Fatalf("record %d: %v, %+v", n, err, j.Stats())
	}
	mustPut(t, j, "call", "3", strings.Repeat("n", 1000)) // no bigger than the one before
	for i := range 8 {
		j.Delete("call", fmt.Sprint(i))
	}
	mustPut(t, j, "call", "new", value)
	if s := j.Stats(); s.Failing || s.Records != 2 || s.Errors != 1 {
		t.Errorf("afterwards %+v", s)
	}
	if err := j.Put("call", "huge", make([]byte, MaxValue+1)); !errors.Is(err, ErrTooBig) {
		t.Errorf("a huge record: %v", err)
	}
	if err := j.Put(strings.Repeat("k", maxName+1), "id", nil); !errors.Is(err, ErrTooBig) {
		t.Errorf("a long kind: %v", err)
	}
}

// A disk that is full costs the records that could not be written.
func TestAFullDisk(t *testing.T) {
	var log bytes.Buffer
	j := open(t, file(t), Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	mustPut(t, j, "call", "a", "1")
	mustPut(t, j, "call", "b", "1")
	good := j.file
	full, err := os.Open(j.path) // refuses every write
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }()
	j.mu.Lock()
	j.file = full
	j.mu.Unlock()
	for range 3 {
		if err := j.Put("call", "a", []byte("2")); err == nil {
			t.Fatal("written to a full disk")
		}
	}
	j.Delete("call", "b")
	if n := strings.Count(log.String(), "cannot be written"); n != 1 || !j.Stats().Failing {
		t.Errorf("told %d times: %s", n, &log)
	}
	j.mu.Lock()
	j.file = good
	j.mu.Unlock()
	holds(t, j, "call", "a=1")
	mustPut(t, j, "call", "c", "1")
	if !strings.Contains(log.String(), "written again") || j.Stats().Failing {
		t.Errorf("the log says %s", &log)
	}
	holds(t, crash(t, j), "call", "a=1", "c=1")
}

// compacted waits for a compaction that makes the file smaller than that.
func compacted(t *testing.T, j *Journal, size int64) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for j.Stats().Size >= size {
		select {
		case <-look.C:
		case <-t.Context().Done():
			t.Fatalf("the file is not compacted: %+v", j.Stats())
		}
	}
}

// A compaction that fails until the file has its full size is tried again.
func TestACompactionThatFailedIsTriedAgain(t *testing.T) {
	const limit = 100_000
	path := file(t)
	j := open(t, path, Options{Limit: limit})
	block := filepath.Join(path+newSuffix, "in the way")
	if err := os.MkdirAll(block, 0o700); err != nil {
		t.Fatal(err)
	}
	value := strings.Repeat("v", 10_000)
	n := 0
	for ; j.Put("call", "a", []byte(value)) == nil; n++ {
		if n > 50 {
			t.Fatal("the file is not bounded")
		}
	}
	if j.Stats().Size < 3*limit {
		t.Fatalf("refused at %+v", j.Stats())
	}
	if err := os.RemoveAll(path + newSuffix); err != nil {
		t.Fatal(err)
	}
	compacted(t, j, limit)
	mustPut(t, j, "call", "b", value)
	if len(j.All("call")) != 2 || j.Stats().Failing {
		t.Errorf("afterwards %+v", j.Stats())
	}
}

// What cannot be read costs itself alone.
func TestACompactionLeavesOutWhatCannotBeRead(t *testing.T) {
	j := open(t, file(t), Options{})
	for _, id := range []string{"a", "b", "c"} {
		mustPut(t, j, "call", id, id)
	}
	j.mu.Lock()
	index := maps.Clone(j.index)
	j.mu.Unlock()
	index[key{"call", "b"}] = place{1 << 20, 100} // behind the end of the file
	fresh, err := os.Create(filepath.Join(t.TempDir(), "fresh"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fresh.Close() }()
	moved, size, err := copyLive(fresh, j.file, index)
	if err != nil || len(moved) != 2 || moved[key{"call", "b"}].n != 0 {
		t.Fatalf("moved %v, %d bytes: %v", moved, size, err)
	}
	data, err := os.ReadFile(fresh.Name())
	if err != nil || int64(len(data)) != size {
		t.Fatalf("%d bytes are written, %d told: %v", len(data), size, err)
	}
	holds(t, reopen(t, data, Options{}), "call", "a=a", "c=c")
}

// Records come and go from many goroutines while the file is compacted again
// and again; what another process finds is what was written last.
func TestCompactionWhileRecordsAreWritten(t *testing.T) {
	j := open(t, file(t), Options{})
	const writers, rounds = 8, 1200
	want := make([]map[string]string, writers)
	var wg sync.WaitGroup
	for w := range writers {
		want[w] = map[string]string{}
		wg.Go(func() {
			for i := range rounds {
				id := fmt.Sprintf("%d-%d", w, i%7)
				if i%5 == 4 {
					j.Delete("call", id)
					delete(want[w], id)
					continue
				}
				value := fmt.Sprintf("%d %s", i, strings.Repeat("x", 1500))
				if err := j.Put("call", id, []byte(value)); err != nil {
					t.Error(err)
				}
				want[w][id] = value
			}
		})
	}
	wg.Wait()
	compacted(t, j, 2*compactAt)
	mustPut(t, j, "press", "last", "1") // takes along what was deleted
	all := map[string]string{}
	for _, m := range want {
		maps.Copy(all, m)
	}
	for name, j := range map[string]*Journal{"here": j, "after a crash": crash(t, j)} {
		got := map[string]string{}
		for _, r := range j.All("call") {
			got[r.ID] = string(r.Value)
		}
		if !maps.Equal(got, all) {
			t.Errorf("%s: %d records, want %d", name, len(got), len(all))
		}
	}
	if s := j.Stats(); s.Errors > 0 || s.Records != len(all)+1 {
		t.Errorf("%+v", s)
	}
}

// FuzzScan: whatever is in the file, it is read to its end and every record
// that it is said to hold is there.
func FuzzScan(f *testing.F) {
	keys, err := newKeyring(secret())
	if err != nil {
		f.Fatal(err)
	}
	s := sealer{salt: [saltSize]byte{1}}
	if s.aead, err = keys.of(s.salt); err != nil {
		f.Fatal(err)
	}
	good := s.seal(nil, 1, put, key{"call", "a"}, []byte("value"))
	two := s.seal(bytes.Clone(good), 2, put, key{"leg", "b"}, []byte("other"))
	three := s.seal(bytes.Clone(two), 3, remove, key{"call", "a"}, nil)
	for _, seed := range [][]byte{nil, good, two, three, three[5:], two[:len(two)-1], []byte(magic + magic)} {
		f.Add(seed, uint16(0), byte(0))
		f.Add(seed, uint16(9), byte(0x80))
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint16, flip byte) {
		if len(data) > 0 {
			data = bytes.Clone(data)
			data[int(at)%len(data)] ^= flip
		}
		keys, err := newKeyring(secret())
		if err != nil {
			t.Fatal(err)
		}
		found := keys.scan(data)
		if found.end > int64(len(data)) {
			t.Fatalf("the end is at %d of %d", found.end, len(data))
		}
		for k, p := range found.index {
			frame, err := cut(data[p.at:])
			if err != nil || len(frame) != p.n {
				t.Fatalf("%v lies at %v: %v", k, p, err)
			}
			if c, err := keys.unseal(frame); err != nil || c.key != k {
				t.Fatalf("%v lies at %v: %v %v", k, p, c.key, err)
			}
		}
		// What is appended to any file is found again.
		next := s.seal(bytes.Clone(data[:found.end]), 9, put, key{"call", "next"}, []byte("n"))
		if p, ok := keys.scan(next).index[key{"call", "next"}]; !ok || p.at != found.end {
			t.Fatalf("a record behind it lies at %v", p)
		}
	})
}

func BenchmarkPut(b *testing.B) {
	j, err := Open(b.Context(), filepath.Join(b.TempDir(), "j"), secret(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	value := make([]byte, 1500)
	for i := 0; b.Loop(); i++ {
		if err := j.Put("call", fmt.Sprint(i%1000), value); err != nil {
			b.Fatal(err)
		}
	}
}
