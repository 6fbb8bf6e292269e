// Package filewatch tells that files or folders have changed. It understands
// editors that write a new file and rename it, and mounted Secrets, whose
// files are links into a folder that is swapped whole. It knows nothing of
// what the files hold.
package filewatch

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Settle is how long the files must be quiet before a change is told: an
// editor's save and a Secret's swap are several events.
const Settle = 150 * time.Millisecond

// Watch calls changed after each change to the paths (files, or folders with
// all that is below them) until ctx ends; then it returns nil. What happens to
// the neighbours of a file is no change. changed runs in
// Watch's goroutine, so changes are never told twice at once. An error means
// that the paths cannot be watched at all.
func Watch(ctx context.Context, paths []string, changed func()) error {
	return Since(ctx, Look(paths), paths, changed)
}

// Seen is what the files of some paths were at one moment.
type Seen map[string]fs.FileInfo

// Since is Watch for files that were read before: what has changed since Look
// is told, too.
func Since(ctx context.Context, before Seen, paths []string, changed func()) (err error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	defer func() {
		if e := w.Close(); err == nil {
			err = e
		}
	}()
	if err := add(w, paths); err != nil {
		return err
	}
	quiet := time.NewTimer(Settle)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.Events:
			if e.Op != fsnotify.Chmod {
				quiet.Reset(Settle)
			}
		case err := <-w.Errors:
			if err != nil { // events were lost: look again rather than miss a change
				quiet.Reset(Settle)
			}
		case <-quiet.C:
			now := Look(paths)
			if maps.EqualFunc(before, now, same) {
				continue
			}
			before = now
			changed()
			// New folders, and files that were replaced.
			if err := add(w, paths); err != nil && ctx.Err() == nil {
				continue // a path is away for a moment; its parent is still watched
			}
		}
	}
}

// Look returns what the files of the paths are now; links are followed.
func Look(paths []string) Seen {
	files := make(Seen)
	for _, path := range paths {
		_ = filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
			if info, e := os.Stat(p); err == nil && e == nil && (p == path || !info.IsDir()) {
				files[p] = info
			}
			return nil // what is away for a moment is a change, no error
		})
	}
	return files
}

// same reports whether a file is still the same one with the same content, as
// far as its times tell. A folder's own times say nothing about its files.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && (a.IsDir() || a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()))
}

// add watches every folder of the paths; of a file the folder that holds it,
// since a replaced file is another file.
func add(w *fsnotify.Watcher, paths []string) error {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("watch %s: %w", path, err)
		}
		if !info.IsDir() {
			if err := w.Add(filepath.Dir(path)); err != nil {
				return fmt.Errorf("watch %s: %w", path, err)
			}
			continue
		}
		err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return w.Add(p)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("watch %s: %w", path, err)
		}
	}
	return nil
}
