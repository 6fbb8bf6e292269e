package rtpio

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
	"github.com/dipcast/dipcast/pbx/media/rtpio/ports"
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

// keptName is the name that the sockets of an RTP port are kept by.
func keptName(port uint16) string { return "rtp/" + strconv.Itoa(int(port)) }

// Hold implements media.Port.
func (p *Port) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pool.sockets == nil || p.pair.Held || p.closed.Load() {
		return
	}
	files, err := copies(p.rtp, p.rtcp)
	if err != nil {
		p.pool.log.Error("rtp sockets cannot be held for the next process; the port is bound anew then", "local", p.local, "error", err)
		return
	}
	p.pair.Held = true
	p.pool.sockets.Keep(keptName(p.local.Port()), files...)
	closeAll(files)
}

// letGo ends what Hold began, so that the number is free.
func (p *Pool) letGo(pair *ports.Pair) {
	if pair.Held {
		pair.Held = false
		p.sockets.Drop(keptName(pair.RTP.Local().Port()))
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

// reopen returns the sockets of a saved port: those that were held for it, or
// new ones on the same numbers.
func (p *Pool) reopen(f *ports.Family, number uint16) (*ports.Pair, error) {
	var files []*os.File
	if p.sockets != nil {
		files = p.sockets.Take(keptName(number))
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
	pair := f.Adopted(rtp, rtcp)
	pair.Held = true
	return pair, nil
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

// openFiles is how many descriptors the process may have.
func openFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(limit.Cur, 1<<20))
}
