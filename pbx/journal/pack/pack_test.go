package pack

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

type word string

type inner struct {
	Name  string    `json:"name,omitempty"`
	When  time.Time `json:"when,omitzero"`
	Deep  *inner2   `json:"deep,omitempty"`
	plain int
}

type inner2 struct {
	List []int16 `json:"list"`
}

type base struct {
	ID   string `json:"id"`
	Held bool   `json:"held"`
}

type sample struct {
	base
	Kind   word           `json:"kind"`
	N      int            `json:"n"`
	Far    int64          `json:"far"`
	U      uint32         `json:"u"`
	F      float32        `json:"f"`
	Wait   time.Duration  `json:"wait"`
	Local  netip.AddrPort `json:"local"`
	Host   netip.Addr     `json:"host"`
	Raw    []byte         `json:"raw"`
	Names  []string       `json:"names"`
	Parts  []inner        `json:"parts"`
	One    *inner         `json:"one"`
	Secret string         `json:"-"`
	NoTag  string
}

func full() sample {
	return sample{
		base: base{"id", true}, Kind: "k", N: -7, Far: -1 << 60, U: 1<<32 - 1, F: 0.5, Wait: 3 * time.Second,
		Local: netip.MustParseAddrPort("192.0.2.1:5060"), Host: netip.MustParseAddr("2001:db8::1"),
		Raw: []byte{1, 0, 2}, Names: []string{"김하늘", ""},
		Parts: []inner{{Name: "a", When: time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)}, {}, {Deep: &inner2{[]int16{1, -2}}}},
		One:   &inner{Name: "one"}, NoTag: "x",
	}
}

func codec[T any](t testing.TB) *Codec[T] {
	t.Helper()
	c, err := For[T]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	c := codec[sample](t)
	for name, v := range map[string]sample{"zero": {}, "full": full(), "one field": {N: 1}} {
		var got sample
		if err := c.Read(c.Append(nil, &v), &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, v) {
			t.Errorf("%s: %+v, want %+v", name, got, v)
		}
	}
	if b := c.Append(nil, &sample{}); len(b) != 1 {
		t.Errorf("a zero struct takes %d bytes", len(b))
	}
	hidden := sample{Secret: "s", Parts: []inner{{plain: 1}}}
	var got sample
	if err := c.Read(c.Append(nil, &hidden), &got); err != nil || got.Secret != "" || got.Parts[0].plain != 0 {
		t.Errorf("%+v %v", got, err)
	}
}

// Another version has more fields, fewer, and others of the same name.
func TestAnotherVersionReadsWhatItKnows(t *testing.T) {
	type next struct {
		ID    string `json:"id"`
		Kind  string `json:"kind"`
		N     string `json:"n"`     // was a number
		Names []int  `json:"names"` // were texts
		One   inner2 `json:"one"`
		Fresh string `json:"fresh"`
		Last  string `json:"NoTag"`
	}
	v := full()
	var got next
	if err := codec[next](t).Read(codec[sample](t).Append(nil, &v), &got); err != nil {
		t.Fatal(err)
	}
	if want := (next{ID: "id", Kind: "k", Last: "x"}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	type small struct {
		U uint8 `json:"u"`
	}
	if err := codec[small](t).Read(codec[sample](t).Append(nil, &v), &small{}); err == nil {
		t.Error("a number that does not fit was taken")
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	type loop struct{ Next *struct{ Map map[string]int } }
	type twice struct {
		base
		ID string `json:"id"`
	}
	type text struct{ P *string }
	for name, f := range map[string]func() error{
		"map":       func() error { _, err := For[loop](); return err },
		"no struct": func() error { _, err := For[int](); return err },
		"twice":     func() error { _, err := For[twice](); return err },
		"pointer":   func() error { _, err := For[text](); return err },
		"interface": func() error { _, err := For[reflect.StructField](); return err },
	} {
		if err := f(); err == nil || !strings.HasPrefix(err.Error(), "pack: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzRead: damage is an error or another value, which can be written again;
// never a panic, and no more memory than the text is long.
func FuzzRead(f *testing.F) {
	c := codec[sample](f)
	v := full()
	f.Add(c.Append(nil, &v))
	f.Add(c.Append(nil, &sample{}))
	f.Add([]byte("\x05names\x04\xff\xff\xff\xff\x7f\x02"))
	f.Add([]byte("\x04none\x04\x03\x03\x01x\x04\x01\x01\x09\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var v, again sample
		if c.Read(text, &v) != nil {
			return
		}
		written := c.Append(nil, &v)
		if err := c.Read(written, &again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(written, c.Append(nil, &again)) {
			t.Fatalf("%+v became %+v", v, again)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	c := codec[sample](b)
	v := full()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = c.Append(buf[:0], &v)
	}
}

func BenchmarkJSON(b *testing.B) {
	v := full()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(&v); err != nil {
			b.Fatal(err)
		}
	}
}
