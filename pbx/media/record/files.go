package record

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// file is what the writer needs of a file.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
}

// files opens recordings by their names.
type files interface {
	// open returns the file, made if there is none, and its size in octets.
	open(name string) (file, int64, error)
	// read opens a file that there is.
	read(name string) (fs.File, error)
	// room is how many octets the disk can take.
	room() (uint64, error)
	io.Closer
}

// folder is a folder on a disk. Nothing outside of it is ever opened, whatever
// a name says.
type folder struct{ root *os.Root }

// reserve is what recordings leave of the disk, in octets: the database, the
// journal and the other files of the tenant lie there, too, and calls need
// those more.
const reserve = 64 << 20

var errFull = fmt.Errorf("the disk has less than %d MiB left, which recordings leave to the database: delete what is not needed or enlarge the volume", reserve>>20)

// Only the PBX reads recordings.
const (
	folderMode = 0o700
	fileMode   = 0o600
)

func openFolder(dir string) (folder, error) {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return folder{}, fmt.Errorf("folder of recordings: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return folder{}, fmt.Errorf("folder of recordings: %w", err)
	}
	return folder{root}, nil
}

func (f folder) open(name string) (file, int64, error) {
	if err := f.root.MkdirAll(path.Dir(name), folderMode); err != nil {
		return nil, 0, err
	}
	opened, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, 0, err
	}
	info, err := opened.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, opened.Close())
	}
	return opened, info.Size(), nil
}

func (f folder) read(name string) (fs.File, error) { return f.root.Open(name) }

func (f folder) Close() error { return f.root.Close() }

func (f folder) room() (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(f.root.Name(), &s); err != nil {
		return 0, fmt.Errorf("folder of recordings: %w", err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}

// nameOf is where a call's recording lies: by year and month of its beginning
// (UTC), so that no folder grows without end.
func nameOf(id pbx.CallID, began time.Time) (string, error) {
	if s := string(id); s == "" || s == "." || !filepath.IsLocal(s) || path.Base(s) != s {
		return "", fmt.Errorf("call %q: cannot name a file", s)
	}
	return began.UTC().Format("2006/01/") + string(id) + ".wav", nil
}
