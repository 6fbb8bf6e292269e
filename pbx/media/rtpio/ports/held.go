package ports

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
)

// Sockets keeps descriptors for the process that comes after this one. A nil
// one keeps nothing.
type Sockets interface {
	// Take returns the descriptors that an earlier process left under the
	// name, nil if there are none. They belong to the caller.
	Take(name string) []*os.File
	// Keep leaves copies of the descriptors; the files stay the caller's.
	Keep(name string, files ...*os.File)
	// Drop lets go of what was kept.
	Drop(name string)
}

// KeptName is the name that the sockets of an RTP port are kept by.
func KeptName(port uint16) string { return "rtp/" + strconv.Itoa(int(port)) }

// Hold leaves copies of both sockets with whoever keeps them, once.
func (p *Pair) Hold(with Sockets) error {
	if with == nil || p.Held {
		return nil
	}
	files, err := copies(p.RTP, p.RTCP)
	if err != nil {
		return err
	}
	p.Held = true
	with.Keep(KeptName(p.RTP.Local().Port()), files...)
	closeAll(files)
	return nil
}

// LetGo ends what Hold began, so that the number is free.
func (p *Pair) LetGo(with Sockets) {
	if p.Held {
		p.Held = false
		with.Drop(KeptName(p.RTP.Local().Port()))
	}
}

func copies(sockets ...*poll.Socket) (files []*os.File, err error) {
	for _, s := range sockets {
		f, err := s.File()
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// Reopen returns the pair of a saved port: the one that was held for it, or a
// new one on the same numbers.
func (f *Family) Reopen(with Sockets, number uint16) (*Pair, error) {
	var files []*os.File
	if with != nil {
		files = with.Take(KeptName(number))
		defer closeAll(files)
	}
	if len(files) != 2 {
		return f.Pair(number)
	}
	rtp, err := adopt(files[0], number)
	if err != nil {
		return nil, err
	}
	rtcp, err := adopt(files[1], number+1)
	if err != nil {
		return nil, errors.Join(err, rtp.Close())
	}
	return &Pair{RTP: rtp, RTCP: rtcp, Held: true, family: f}, nil
}

// adopt makes a socket of a descriptor, which must be what it is named.
func adopt(file *os.File, number uint16) (*poll.Socket, error) {
	s, err := poll.Adopt(file)
	if err != nil {
		return nil, fmt.Errorf("held socket: %w", err)
	}
	if got := s.Local().Port(); got != number {
		return nil, errors.Join(fmt.Errorf("held socket: is of UDP port %d, want %d", got, number), s.Close())
	}
	return s, nil
}

// OpenFiles is how many descriptors the process may have.
func OpenFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(limit.Cur, 1<<20))
}
