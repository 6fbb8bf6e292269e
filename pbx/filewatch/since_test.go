package filewatch_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/filewatch"
)

// What changes between reading a file and watching it is told.
func TestSinceTellsWhatChangedBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("before")
	seen := filewatch.Look([]string{path})
	write("changed before the watch")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	told := 0
	if err := filewatch.Since(ctx, seen, []string{path}, func() { told++; cancel() }); err != nil || told != 1 {
		t.Errorf("told %d times: %v", told, err)
	}
}
