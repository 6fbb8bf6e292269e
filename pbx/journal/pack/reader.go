package pack

import (
	"encoding/binary"
	"errors"
)

var (
	errShort = errors.New("the text ends too early")
	errWire  = errors.New("the text is damaged")
	errRange = errors.New("a number is too large")
	errDeep  = errors.New("the text is nested too deep")
)

// reader takes values off the front of a text.
type reader struct{ b []byte }

func (r *reader) uvarint() (uint64, error) {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		return 0, errShort
	}
	r.b = r.b[size:]
	return n, nil
}

// bytes returns a part of the text itself.
func (r *reader) bytes() ([]byte, error) {
	n, err := r.uvarint()
	if err != nil || n > uint64(len(r.b)) {
		return nil, errShort
	}
	text := r.b[:n]
	r.b = r.b[n:]
	return text, nil
}

func (r *reader) byte() (byte, error) {
	if len(r.b) == 0 {
		return 0, errShort
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c, nil
}

// field returns the next field's name and wire; an empty name is the end.
func (r *reader) field() (string, wire, error) {
	n, err := r.byte()
	if err != nil || n == 0 {
		return "", 0, err
	}
	if int(n) >= len(r.b) {
		return "", 0, errShort
	}
	name, w := string(r.b[:n]), wire(r.b[n])
	r.b = r.b[int(n)+1:]
	return name, w, nil
}

// list returns how many values of which wire follow; each takes a byte or more.
func (r *reader) list() (int, wire, error) {
	n, err := r.uvarint()
	if err != nil || n >= uint64(len(r.b)) && n > 0 {
		return 0, 0, errShort
	}
	w, err := r.byte()
	return int(n), wire(w), err
}

// skipList passes over a list of another wire than the one that is wanted.
func (r *reader) skipList(n int, w wire, err error) error {
	for i := 0; err == nil && i < n; i++ {
		err = r.skip(w, 1)
	}
	return err
}

// skip passes over one value.
func (r *reader) skip(w wire, depth int) error {
	if depth > 2*maxDepth {
		return errDeep
	}
	switch w {
	case wireNumber:
		_, err := r.uvarint()
		return err
	case wireBytes:
		_, err := r.bytes()
		return err
	case wireList:
		n, w, err := r.list()
		for i := 0; err == nil && i < n; i++ {
			err = r.skip(w, depth+1)
		}
		return err
	case wireObject:
		for {
			name, w, err := r.field()
			if err != nil || name == "" {
				return err
			}
			if err := r.skip(w, depth+1); err != nil {
				return err
			}
		}
	default:
		return errWire
	}
}
