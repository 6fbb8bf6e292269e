package web_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/web"
	"github.com/dipcast/dipcast/pbx/works"
)

func openJournal(t *testing.T, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), path, bytes.Repeat([]byte("k"), 32), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// A callback that was answered 200 is served by the next process if this one
// died before; one that was served never works again.
func TestCallbacksOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	now := time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)
	with := func(j journal.Store) func(*web.Options) {
		at := now // each process has its own hour: the workers of the one before may still ask for theirs
		return func(o *web.Options) { o.Journal, o.Now = j, func() time.Time { return at } }
	}
	send := func(b *bench, body string) {
		t.Helper()
		if w := post(b.server.Handler(), body, works.Sign(botSecret, []byte(body)), botID); w.Code != http.StatusOK {
			t.Fatalf("status %d", w.Code)
		}
	}
	next := func(b *bench) string {
		t.Helper()
		select {
		case got := <-b.bodies:
			return string(got)
		case <-time.After(20 * time.Second):
			t.Fatal("nothing was delivered")
			return ""
		}
	}
	dying := newBench(t, with(j)) // its workers never run
	send(dying, `{"type":"message","n":1}`)
	send(dying, `{"type":"message","n":2}`)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	j = openJournal(t, path)
	b := newBench(t, with(j))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.server.Run(ctx) }()
	got := map[string]bool{next(b): true, next(b): true}
	if !got[`{"type":"message","n":1}`] || !got[`{"type":"message","n":2}`] {
		t.Errorf("delivered %v", got)
	}
	stop() // waits for what is under way
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	j = openJournal(t, path)
	b = newBench(t, with(j))
	send(b, `{"type":"message","n":1}`)
	b.run(t)
	send(b, `{"type":"message","n":3}`)
	if got := next(b); got != `{"type":"message","n":3}` {
		t.Errorf("%s works a second time", got)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	now = now.Add(time.Hour) // nobody sends them any more
	j = openJournal(t, path)
	newBench(t, with(j))
	if left := j.All(web.KindPress); len(left) != 0 {
		t.Errorf("%d callbacks are kept for ever", len(left))
	}
}

// Who hands over takes no callback any more, lets those under way end, and
// leaves what waits and what was not finished to the next process.
func TestLeavingServesNothingTwiceAndLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	begun, goOn := make(chan struct{}), make(chan struct{})
	b := newBench(t, func(o *web.Options) {
		o.Journal = j
		o.Deliver = func(ctx context.Context, _ []byte) error {
			begun <- struct{}{}
			select {
			case <-goOn:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	send := func(n int) int {
		body := fmt.Sprintf(`{"type":"message","n":%d}`, n)
		return post(b.server.Handler(), body, works.Sign(botSecret, []byte(body)), botID).Code
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.server.Run(ctx) }()
	const workers = 16
	for n := range workers + 1 { // one more than can be served at once
		if code := send(n); code != http.StatusOK {
			t.Fatalf("status %d", code)
		}
	}
	for range workers {
		<-begun
	}
	left := make(chan struct{})
	go func() {
		b.server.Leave(t.Context())
		close(left)
	}()
	for send(0) != http.StatusServiceUnavailable { // Leave has begun
		continue
	}
	for range workers - 1 {
		goOn <- struct{}{}
	}
	select {
	case <-left:
		t.Error("it does not wait for what is under way")
	default:
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	b.server.Leave(impatient) // returns all the same
	stop()                    // the last one is cut off
	<-left
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, path)
	next := newBench(t, func(o *web.Options) { o.Journal = j })
	next.run(t)
	for range 2 { // the one that waited and the one that was cut off
		select {
		case <-next.bodies:
		case <-time.After(20 * time.Second):
			t.Fatal("a callback is lost")
		}
	}
	post(next.server.Handler(), "{}", works.Sign(botSecret, []byte("{}")), botID)
	if got := <-next.bodies; string(got) != "{}" {
		t.Errorf("%s was served and is served again", got)
	}
}
