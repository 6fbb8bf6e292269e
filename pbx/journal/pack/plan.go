package pack

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
)

// wire says how long a value is, so that it can be passed over unread.
type wire byte

const (
	wireNumber wire = 1
	wireBytes  wire = 2
	wireObject wire = 3
	wireList   wire = 4
)

// maxDepth bounds how deep types may be nested.
const maxDepth = 12

// coder writes and reads the values of one type. Values are addressable.
type coder struct {
	wire wire
	put  func(b []byte, v reflect.Value) []byte
	get  func(r *reader, v reflect.Value) error
}

// Codec writes and reads values of T, a struct.
type Codec[T any] struct{ coder coder }

// For makes the codec of T. An error names the part of T that cannot be
// written.
func For[T any]() (*Codec[T], error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("pack: %s is no struct", t)
	}
	c, err := coderOf(t, 0)
	if err != nil {
		return nil, fmt.Errorf("pack: %s: %w", t, err)
	}
	return &Codec[T]{c}, nil
}

// Append appends v to b.
func (c *Codec[T]) Append(b []byte, v *T) []byte {
	return c.coder.put(b, reflect.ValueOf(v).Elem())
}

// Read fills v, which should be zero, from what Append wrote.
func (c *Codec[T]) Read(b []byte, v *T) error {
	r := &reader{b}
	if err := c.coder.get(r, reflect.ValueOf(v).Elem()); err != nil {
		return fmt.Errorf("pack: %s: %w", reflect.TypeFor[T](), err)
	}
	return nil
}

func coderOf(t reflect.Type, depth int) (coder, error) {
	if depth > maxDepth {
		return coder{}, fmt.Errorf("%s is nested too deep", t)
	}
	if writes, ok := selfCoder(t); ok {
		return writes, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return coder{wireNumber, putBool, getBool}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return coder{wireNumber, putInt, getInt}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return coder{wireNumber, putUint, getUint}, nil
	case reflect.Float32, reflect.Float64:
		return coder{wireNumber, putFloat, getFloat}, nil
	case reflect.String:
		return coder{wireBytes, putString, getString}, nil
	case reflect.Slice:
		return sliceCoder(t, depth)
	case reflect.Pointer:
		return pointerCoder(t, depth)
	case reflect.Struct:
		return structCoder(t, depth)
	default:
		return coder{}, fmt.Errorf("a %s cannot be written", t)
	}
}

// selfCoder is for types that write themselves.
func selfCoder(t reflect.Type) (coder, bool) {
	p := reflect.PointerTo(t)
	if !p.Implements(reflect.TypeFor[encoding.BinaryAppender]()) || !p.Implements(reflect.TypeFor[encoding.BinaryUnmarshaler]()) {
		return coder{}, false
	}
	put := func(b []byte, v reflect.Value) []byte {
		a, _ := v.Addr().Interface().(encoding.BinaryAppender) // see above
		at := len(b)
		b = append(b, 0)
		b, err := a.AppendBinary(b)
		if n := len(b) - at - 1; err == nil && n < 0x80 {
			b[at] = byte(n) // a varint of one byte
			return b
		}
		return append(b[:at], 0) // no time or address is so long
	}
	get := func(r *reader, v reflect.Value) error {
		text, err := r.bytes()
		if err != nil || len(text) == 0 {
			return err
		}
		u, _ := v.Addr().Interface().(encoding.BinaryUnmarshaler) // see above
		return u.UnmarshalBinary(text)
	}
	return coder{wireBytes, put, get}, true
}

func putBool(b []byte, v reflect.Value) []byte {
	if v.Bool() {
		return append(b, 1)
	}
	return append(b, 0)
}

func getBool(r *reader, v reflect.Value) error {
	n, err := r.uvarint()
	v.SetBool(n != 0)
	return err
}

func putInt(b []byte, v reflect.Value) []byte { return binary.AppendVarint(b, v.Int()) }

func getInt(r *reader, v reflect.Value) error {
	u, err := r.uvarint()
	n := int64(u>>1) ^ -int64(u&1)
	if err == nil && v.OverflowInt(n) {
		return errRange
	}
	v.SetInt(n)
	return err
}

func putUint(b []byte, v reflect.Value) []byte { return binary.AppendUvarint(b, v.Uint()) }

func getUint(r *reader, v reflect.Value) error {
	n, err := r.uvarint()
	if err == nil && v.OverflowUint(n) {
		return errRange
	}
	v.SetUint(n)
	return err
}

func putFloat(b []byte, v reflect.Value) []byte {
	return binary.AppendUvarint(b, math.Float64bits(v.Float()))
}

func getFloat(r *reader, v reflect.Value) error {
	n, err := r.uvarint()
	v.SetFloat(math.Float64frombits(n))
	return err
}

func putString(b []byte, v reflect.Value) []byte {
	s := v.String()
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func getString(r *reader, v reflect.Value) error {
	text, err := r.bytes()
	v.SetString(string(text))
	return err
}

func sliceCoder(t reflect.Type, depth int) (coder, error) {
	if t.Elem().Kind() == reflect.Uint8 {
		return coder{wireBytes, func(b []byte, v reflect.Value) []byte {
			return append(binary.AppendUvarint(b, uint64(v.Len())), v.Bytes()...)
		}, func(r *reader, v reflect.Value) error {
			text, err := r.bytes()
			v.SetBytes(append([]byte(nil), text...))
			return err
		}}, nil
	}
	elem, err := coderOf(t.Elem(), depth+1)
	if err != nil {
		return coder{}, err
	}
	put := func(b []byte, v reflect.Value) []byte {
		b = append(binary.AppendUvarint(b, uint64(v.Len())), byte(elem.wire))
		for i := range v.Len() {
			b = elem.put(b, v.Index(i))
		}
		return b
	}
	get := func(r *reader, v reflect.Value) error {
		n, w, err := r.list()
		if err != nil || w != elem.wire {
			return r.skipList(n, w, err)
		}
		v.Set(reflect.MakeSlice(t, 0, min(n, 64)))
		for i := range n {
			v.Grow(1)
			v.SetLen(i + 1)
			if err := elem.get(r, v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	}
	return coder{wireList, put, get}, nil
}

func pointerCoder(t reflect.Type, depth int) (coder, error) {
	elem, err := coderOf(t.Elem(), depth+1)
	if err != nil || elem.wire != wireObject {
		return coder{}, fmt.Errorf("a %s cannot be written: %w", t, err)
	}
	return coder{wireObject, func(b []byte, v reflect.Value) []byte {
		if v.IsNil() {
			return append(b, 0)
		}
		return elem.put(b, v.Elem())
	}, func(r *reader, v reflect.Value) error {
		v.Set(reflect.New(t.Elem()))
		return elem.get(r, v.Elem())
	}}, nil
}

// field is one field of a struct.
type field struct {
	name  string
	index []int
	coder coder
}

func structCoder(t reflect.Type, depth int) (coder, error) {
	fields, err := fieldsOf(t, nil, depth)
	if err != nil {
		return coder{}, err
	}
	byName := make(map[string]*field, len(fields))
	for i := range fields {
		f := &fields[i]
		if byName[f.name] != nil {
			return coder{}, fmt.Errorf("%s has two fields %q", t, f.name)
		}
		byName[f.name] = f
	}
	put := func(b []byte, v reflect.Value) []byte {
		for i := range fields {
			f := &fields[i]
			x := v.Field(f.index[0])
			for _, i := range f.index[1:] { // of embedded structs
				x = x.Field(i)
			}
			if x.IsZero() {
				continue
			}
			b = append(append(append(b, byte(len(f.name))), f.name...), byte(f.coder.wire))
			b = f.coder.put(b, x)
		}
		return append(b, 0)
	}
	get := func(r *reader, v reflect.Value) error {
		for {
			name, w, err := r.field()
			if err != nil || name == "" {
				return err
			}
			f := byName[name]
			if f == nil || f.coder.wire != w {
				err = r.skip(w, 0)
			} else {
				err = f.coder.get(r, v.FieldByIndex(f.index))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return coder{wireObject, put, get}, nil
}

// fieldsOf lists what encoding/json would write.
func fieldsOf(t reflect.Type, at []int, depth int) ([]field, error) {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		index := slices.Concat(at, []int{i})
		switch {
		case !f.IsExported() && !f.Anonymous, name == "-":
			continue
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			inner, err := fieldsOf(f.Type, index, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, inner...)
			continue
		case name == "":
			name = f.Name
		}
		if len(name) > 255 {
			return nil, fmt.Errorf("the name of field %s is too long", f.Name)
		}
		c, err := coderOf(f.Type, depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		out = append(out, field{name, index, c})
	}
	return out, nil
}
