package audiofile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// sine is some frames of a tone.
func sine(n int, freq float64) *Sound {
	samples := make([]int16, 160*n)
	tone.Sine(freq, 0.5).Read(samples)
	return NewSound(samples)
}

func encode(t testing.TB, s *Sound, f Format) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, s, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWrittenSoundIsReadBack(t *testing.T) {
	want := NewSound(sine(50, 600).Samples()[:7999]) // odd: a pad byte follows 8-bit data
	for _, f := range []Format{PCM16, ALaw, ULaw} {
		got, err := Decode(encode(t, want, f))
		if err != nil {
			t.Errorf("format %d: %v", f, err)
			continue
		}
		if f == PCM16 && !slices.Equal(got.Samples(), want.Samples()) {
			t.Error("16-bit samples changed")
		}
		if len(got.Samples()) != 7999 || tone.Share(got.Samples(), 600) < 0.99 {
			t.Errorf("format %d: %d samples, share %.3f", f, len(got.Samples()), tone.Share(got.Samples(), 600))
		}
	}
	if err := Write(&bytes.Buffer{}, want, 99); err == nil {
		t.Error("format 99 was written")
	}
}

func TestOtherChunksArePassedOver(t *testing.T) {
	plain := encode(t, sine(1, 600), PCM16)
	with := append([]byte{}, plain[:12]...)
	with = append(with, "LIST\x03\x00\x00\x00abc\x00"...) // odd, padded
	with = append(with, plain[12:]...)
	if got, err := Decode(with); err != nil || len(got.Samples()) != 160 {
		t.Errorf("%v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	change := func(at int, v uint16) []byte {
		b := encode(t, sine(1, 600), PCM16)
		binary.LittleEndian.PutUint16(b[at:], v)
		return b
	}
	good := encode(t, sine(1, 600), PCM16)
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"nothing", nil, "not a WAV file"},
		{"something else", []byte("ID3 and so on, an MP3 file"), "not a WAV file"},
		{"another rate", change(24, 44100), "44100 Hz"},
		{"stereo", change(22, 2), "sox"},
		{"24 bits", change(34, 24), "24 bits"},
		{"MP3 in WAV", change(20, 0x55), "0x0055"},
		{"cut off before the data", good[:40], "no data chunk"},
		{"no format", append(append([]byte{}, good[:12]...), good[38:]...), "no fmt chunk"},
		{"a short format", append(append([]byte{}, good[:12]...), "fmt \x02\x00\x00\x00\x01\x00"...), "2 bytes"},
		{"too long", make([]byte, MaxSize+1), "cut it into shorter ones"},
	}
	for _, tt := range tests {
		if _, err := Decode(tt.file); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, format := range []Format{PCM16, ALaw, ULaw} {
		f.Add(encode(f, sine(1, 600), format))
	}
	f.Add([]byte("RIFF\xFF\xFF\xFF\xFFWAVEfmt \xFF\xFF\xFF\xFF"))
	f.Add([]byte("RIFF0000WAVEdata\xFF\xFF\xFF\xFFab"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err == nil && len(s.Samples()) > len(b) {
			t.Fatalf("%d samples from %d bytes", len(s.Samples()), len(b))
		}
	})
}

func TestSources(t *testing.T) {
	s := NewSound([]int16{1, 2, 3})
	read := func(src media.Source, n int) (frame []int16, more bool) {
		frame = []int16{9, 9, 9, 9, 9}
		for range n {
			more = src.Read(frame)
		}
		return frame, more
	}
	if got, more := read(s.Source(), 1); !more || !slices.Equal(got, []int16{1, 2, 3, 0, 0}) {
		t.Errorf("once: %v %v", got, more)
	}
	if _, more := read(s.Source(), 2); more {
		t.Error("once: went on after the end")
	}
	if got, more := read(s.Loop(), 2); !more || !slices.Equal(got, []int16{3, 1, 2, 3, 1}) {
		t.Errorf("over and over: %v %v", got, more)
	}
	if _, more := read(NewSound(nil).Loop(), 1); more {
		t.Error("nothing, over and over, does not end")
	}
	src, frame := s.Loop(), make([]int16, 160)
	if n := testing.AllocsPerRun(100, func() { src.Read(frame) }); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

func TestPrompts(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("ko-KR/confirm.wav", encode(t, sine(10, 1235), ALaw))
	p, err := LoadPrompts(dir, "ko-KR")
	if err != nil {
		t.Fatal(err)
	}
	heard := func(p *Prompts, name Prompt) []int16 {
		samples := make([]int16, 4000)
		if !p.Source(name).Read(samples) {
			t.Errorf("%s is over before it began", name)
		}
		return samples
	}
	if got := tone.Share(heard(p, Confirm), 1235); got < 0.95 {
		t.Errorf("the recorded prompt is not played: share %.3f", got)
	}
	if got := tone.Share(heard(p, Ringback), 440, 480); got < 0.95 {
		t.Errorf("ringback of Korea: share %.3f", got)
	}
	if got := tone.Share(heard(p, Busy), 480, 620); got < 0.95 {
		t.Errorf("busy tone of Korea: share %.3f", got)
	}
	for _, name := range All() {
		if tone.Share(heard(p, name), 50) > 0.5 {
			t.Errorf("%s is a hum", name)
		}
	}
	if s := heard(p, "no such prompt"); slices.Max(s) != 0 {
		t.Error("an unknown prompt is not silent")
	}

	write("ko-KR/busy.wav", []byte("no sound"))
	p, err = LoadPrompts(dir, "ko-KR")
	if err == nil || !strings.Contains(err.Error(), "busy.wav") {
		t.Errorf("error %v, want one that names busy.wav", err)
	}
	if got := tone.Share(heard(p, Confirm), 1235); got < 0.95 {
		t.Error("one wrong file made the others unusable")
	}
	if _, err := LoadPrompts(dir, "../ko-KR"); err == nil {
		t.Error("a locale left the folder")
	}
	p, err = LoadPrompts("", "ja-JP")
	if err != nil || tone.Share(heard(p, Ringback), 384, 400, 416) < 0.95 {
		t.Errorf("ringback of Japan without files: %v", err)
	}
}

func TestReadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.wav")
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
}

func TestRegion(t *testing.T) {
	for locale, want := range map[string]string{"ko-KR": "KR", "en-us": "US", "zh-Hant-TW": "TW", "ko": "", "": ""} {
		if got := region(locale); got != want {
			t.Errorf("region of %q is %q, want %q", locale, got, want)
		}
	}
}
