package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// onSmallDisk puts the program's data on a disk of its own of that many bytes.
func (p *program) onSmallDisk(size string) {
	p.t.Helper()
	if os.Getuid() != 0 {
		p.t.Skip("a disk can be mounted by root alone")
	}
	if err := syscall.Mount("tmpfs", p.data, "tmpfs", 0, "size="+size); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		p.kill()
		if err := syscall.Unmount(p.data, syscall.MNT_DETACH); err != nil {
			p.t.Error(err)
		}
	})
}

// fill leaves no byte of the program's disk; empty gives them back.
func (p *program) fill() (empty func()) {
	p.t.Helper()
	path := filepath.Join(p.data, "filler")
	f, err := os.Create(path)
	if err != nil {
		p.t.Fatal(err)
	}
	for block := make([]byte, 1<<16); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		p.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		p.t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			p.t.Fatal(err)
		}
	}
}

// A full disk ends no call and keeps nobody from calling; what could not be
// written is written when there is room, and the call that was up before is
// taken up.
func TestTheDiskIsFull(t *testing.T) {
	p := newProgram(t)
	p.onSmallDisk("8m")
	p.start()
	one, two := p.registered()
	up := p.pair(one, two, 0)
	p.talked(one, two, 1)
	p.records(1)

	empty := p.fill()
	for i := range 3 {
		p.talked(one, two, 2+i)
		p.missed(one, two)
	}
	p.wait("the journal says that it fails", "dipcast_journal_failing", 1)
	goOn(t, up)
	empty()
	p.talked(one, two, 6)
	p.wait("the journal is written again", "dipcast_journal_failing", 0)
	if n := len(p.records(8)); n != 8 {
		t.Errorf("%d records of 8 calls", n)
	}
	p.killChild()
	goOn(t, up)
	hangUp(t, up, true)
	if n := len(p.records(9)); n != 9 {
		t.Errorf("%d records of 9 calls", n)
	}
}
