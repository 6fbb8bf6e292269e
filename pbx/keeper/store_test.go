package keeper

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

// files opens n descriptors that a store may close.
func files(t *testing.T, n int) (fds []int) {
	t.Helper()
	for range n {
		fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	return fds
}

// open reports whether a descriptor is open.
func open(fd int) bool {
	var s syscall.Stat_t
	return syscall.Fstat(fd, &s) == nil
}

func TestStoreClosesWhatItNoLongerHolds(t *testing.T) {
	s := newStore(4)
	old := files(t, 2)
	if err := s.put(message{verb: verbKeep, name: "a", files: old}); err != nil {
		t.Fatal(err)
	}
	fresh := files(t, 3)
	if err := s.put(message{verb: verbKeep, name: "a", files: fresh}); err != nil {
		t.Fatal(err)
	}
	if open(old[0]) || open(old[1]) || !open(fresh[0]) || s.files != 3 {
		t.Errorf("after the second: holds %d", s.files)
	}
	many := files(t, 2)
	if err := s.put(message{verb: verbKeep, name: "b", files: many}); !errors.Is(err, errFull) {
		t.Errorf("beyond the limit: %v", err)
	}
	if open(many[0]) || open(many[1]) || s.files != 3 {
		t.Errorf("what was refused is open, or held: %d", s.files)
	}
	if err := s.put(message{verb: verbKeep, name: "a"}); err != nil || s.files != 0 || len(s.names) != 0 || open(fresh[0]) {
		t.Errorf("none in place of three: %v, holds %d", err, s.files)
	}
	s.drop("never")
	s.close()
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"1krtp/127.0.0.1:40000": "", "1da": "", "1r": "", "1e": "", "1b0 0": "",
		"":                                    "version",
		"1":                                   "version",
		"2ka":                                 "version",
		"1?a":                                 "unknown verb",
		"1k":                                  "1 to 128",
		"1d":                                  "1 to 128",
		"1rname":                              "takes no name",
		"1k\x00":                              "printable",
		"1ka b":                               "printable",
		"1k\xff":                              "printable",
		"1k" + strings.Repeat("a", MaxName+1): "1 to 128",
	} {
		_, _, err := parse([]byte(text))
		if want == "" && err != nil || want != "" && (!errors.Is(err, errMessage) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestHandleRefusesWhatIsTheParents(t *testing.T) {
	s := newStore(4)
	for _, v := range []verb{verbBegin, verbEnd, 0} {
		fds := files(t, 1)
		if ready, err := s.handle(message{verb: v, name: "a", files: fds}); !errors.Is(err, errMessage) || ready || open(fds[0]) {
			t.Errorf("verb %q: ready %t, %v", v, ready, err)
		}
	}
	fds := files(t, 1)
	if ready, err := s.handle(message{verb: verbReady, files: fds}); err != nil || !ready || open(fds[0]) {
		t.Errorf("ready: %t, %v", ready, err)
	}
}

// FuzzStore feeds what a child may send, several messages after each other,
// parted by line feeds: the first byte of each is how many descriptors come
// with it.
func FuzzStore(f *testing.F) {
	for _, seed := range []string{"\x021ksip/udp/127.0.0.1:5060\n\x001dsip/udp/127.0.0.1:5060\n\x001r", "\x031ka\n\x031kb\n\x031kc", "\xff1k\xff", "\n\n\n", "\x011e"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<12 {
			t.Skip()
		}
		s := newStore(8)
		for line := range strings.SplitSeq(string(data), "\n") {
			if line == "" {
				continue
			}
			fds := files(t, int(line[0]%MaxFiles))
			v, name, err := parse([]byte(line[1:]))
			m := message{verb: v, name: name, files: fds}
			if err != nil {
				m.close()
			} else {
				_, err = s.handle(m)
			}
			if err != nil && !errors.Is(err, errMessage) && !errors.Is(err, errFull) {
				t.Fatalf("%q: %v", line, err)
			}
		}
		held := 0
		for _, name := range s.all() {
			if checkName(name) != nil {
				t.Fatalf("it holds %q", name)
			}
			for _, fd := range s.names[name] {
				if !open(fd) {
					t.Fatalf("%q: descriptor %d is closed", name, fd)
				}
				held++
			}
		}
		if held != s.files || held > s.most {
			t.Fatalf("it holds %d, says %d, at most %d", held, s.files, s.most)
		}
		s.close()
		if s.files != 0 || len(s.names) != 0 {
			t.Fatal("after the close it holds something")
		}
	})
}
