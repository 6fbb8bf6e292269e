package filewatch

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watching starts a Watch and returns the channel of its changes. Each change
// carries what the file held when it was told.
func watching(t *testing.T, path, file string) <-chan string {
	t.Helper()
	told := make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Watch(ctx, []string{path}, func() {
			text, _ := os.ReadFile(file)
			told <- string(text)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return told
}

// until changes the file until the watch, which may not have begun yet, tells
// of the text.
func until(t *testing.T, told <-chan string, want string, change func()) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	again := time.NewTicker(2 * Settle)
	defer again.Stop()
	change()
	for {
		select {
		case got := <-told:
			if got == want {
				return
			}
		case <-again.C:
			change()
		case <-deadline:
			t.Fatalf("the change to %q was not told", want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFileThatIsWrittenAndReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doc.yaml")
	write(t, file, "one")
	told := watching(t, file, file)
	until(t, told, "two", func() { write(t, file, "two") })
	until(t, told, "three", func() {
		write(t, file+".new", "three")
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAMountedSecretIsSwappedWhole(t *testing.T) {
	dir := t.TempDir()
	swap := func(version, text string) {
		target := filepath.Join(dir, version)
		if err := os.MkdirAll(target, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(target, "document"), text)
		link := filepath.Join(dir, "..data_tmp")
		_ = os.Remove(link)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	swap("..v1", "one")
	file := filepath.Join(dir, "document")
	if err := os.Symlink(filepath.Join("..data", "document"), file); err != nil {
		t.Fatal(err)
	}
	told := watching(t, file, file)
	until(t, told, "two", func() { swap("..v2", "two") })
}

func TestAFolderThatGrowsAFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), "a")
	file := filepath.Join(dir, "sub", "b.yaml")
	told := watching(t, dir, file)
	until(t, told, "b", func() {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, file, "b")
	})
	until(t, told, "c", func() { write(t, file, "c") })
}

func TestWhatIsAChange(t *testing.T) {
	dir := t.TempDir()
	file, neighbour := filepath.Join(dir, "doc.yaml"), filepath.Join(dir, "pbx.log")
	write(t, file, "one")
	for _, row := range []struct {
		name       string
		path       string
		do         func()
		wantChange bool
	}{
		{"nothing", file, func() {}, false},
		{"a neighbour is written", file, func() { write(t, neighbour, "calls") }, false},
		{"a file of the folder is written", dir, func() { write(t, neighbour, "more calls") }, true},
		{"the file grows", file, func() { write(t, file, "one and more") }, true},
		{"the file is replaced by one of the same size", file, func() {
			write(t, file+".new", "two and more")
			if err := os.Rename(file+".new", file); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"a file goes", dir, func() {
			if err := os.Remove(neighbour); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		before := Look([]string{row.path})
		row.do()
		if changed := !maps.EqualFunc(before, Look([]string{row.path}), same); changed != row.wantChange {
			t.Errorf("%s: changed = %t", row.name, changed)
		}
	}
}

func TestAMissingPathIsNamed(t *testing.T) {
	err := Watch(t.Context(), []string{"/no/such/manifests"}, func() {})
	if err == nil {
		t.Fatal("no error")
	}
}
