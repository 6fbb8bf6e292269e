package repeat

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"strings"
	"time"
)

// Entry is one file, folder or link of an archive.
type Entry struct {
	Name    string // of a folder: with a slash at the end
	Mode    int64
	Content []byte
	Link    string // what a link points to; then there is no content
}

// Tar writes the entries in the order given, all of one time and of root.
func Tar(when time.Time, entries []Entry) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	var errs []error
	for _, e := range entries {
		h := &tar.Header{
			Typeflag: tar.TypeReg, Name: e.Name, Mode: e.Mode, Size: int64(len(e.Content)),
			ModTime: when.UTC().Truncate(time.Second), Format: tar.FormatUSTAR,
		}
		switch {
		case strings.HasSuffix(e.Name, "/"):
			h.Typeflag = tar.TypeDir
		case e.Link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.Link
		}
		errs = append(errs, w.WriteHeader(h))
		_, err := w.Write(e.Content)
		errs = append(errs, err)
	}
	if err := errors.Join(append(errs, w.Close())...); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// TarGz is Tar, compressed.
func TarGz(when time.Time, entries []Entry) ([]byte, error) {
	plain, err := Tar(when, entries)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	// The last bytes are written by Close: not before them is b whole.
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
