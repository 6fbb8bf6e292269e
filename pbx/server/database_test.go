package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/phone"
)

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := within(t)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("it does not come to pass that %s", what)
		case <-again.C:
		}
	}
}

// A damaged database keeps nobody from telephoning, is not touched, and is
// opened as soon as somebody has put it right.
func TestADamagedDatabase(t *testing.T) {
	dir := t.TempDir()
	file, damaged := filepath.Join(dir, "pbx.db"), strings.Repeat("not a database", 1000)
	if err := os.WriteFile(file, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, sample(), func(o *Options) { o.DataDir = dir })
	if r.Report().DatabaseUp {
		t.Error("the report says that the database is up")
	}
	one, two := r.phone("101"), r.phone("102")
	for _, p := range []*phone.Phone{one, two} {
		if err := p.Register(within(t), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	c, err := one.Dial(within(t), "102", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.WaitIncoming(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	until(t, "the call's record waits", func() bool { return r.recorder.Stats().Waiting == 1 })
	if text, err := os.ReadFile(file); err != nil || string(text) != damaged {
		t.Errorf("the damaged file was changed (%v)", err)
	}
	if err := os.Rename(file, file+".damaged"); err != nil {
		t.Fatal(err)
	}
	until(t, "the record is written", func() bool {
		page, err := r.CDRs().Query(within(t), pbx.CDRQuery{})
		return err == nil && len(page.Records) == 1
	})
	until(t, "the registrations are written", func() bool {
		list, err := r.store.Load(within(t), time.Now())
		return err == nil && len(list) == 2
	})
}
