package keeper

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"
)

// spare are descriptors that the parent does not fill with what it holds.
const spare = 32

// parent starts the child, again and again, and holds what it keeps. Its one
// goroutine has the store while no child runs; the child's goroutine has it
// while one does.
type parent struct {
	path      string // of the program
	argv, env []string
	log       *slog.Logger
	store     *store
	policy    policy
	signals   <-chan os.Signal
	now       func() time.Time

	served   bool // a child has been ready
	stopping bool // whoever started us wants the end
	replaced bool // the child was told to make room for a new one
}

// child is one process. Two goroutines end with it: one reaps, one reads.
type child struct {
	pid    int
	fd     int // our end
	exited chan syscall.WaitStatus
	done   chan struct{} // the reader has ended
	ready  time.Time     // zero: never; valid once done
}

// openFiles is how many descriptors the store may have.
func openFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<20 {
		return 1 << 20
	}
	return max(0, int(limit.Cur)-spare)
}

// run returns the exit code. An error is that not even the first child could be
// started.
func (p *parent) run() (code int, err error) {
	defer p.store.close()
	for {
		c, err := p.start()
		if err != nil && !p.served {
			return 0, err
		}
		var pause time.Duration
		var again bool
		if err != nil {
			p.log.Error("the program cannot be started again", "error", err)
			code = 1
			pause, again = p.policy.died(0)
		} else {
			status := p.watch(c)
			code = exitCode(status)
			pause, again = p.judge(c, status)
		}
		if !again || !p.rest(pause) {
			return code, nil
		}
	}
}

// start runs the program as our child.
func (p *parent) start() (*child, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	const inherited = 3 // after the standard ones
	//nolint:gosec // G204: the same program with the same arguments
	pid, err := syscall.ForkExec(p.path, p.argv, &syscall.ProcAttr{
		Env:   append(p.env[:len(p.env):len(p.env)], fmt.Sprintf("%s=%d", Env, inherited)),
		Files: []uintptr{0, 1, 2, uintptr(pair[1])},
		// A terminal's Ctrl-C reaches the child through us, once. Should we be
		// killed, nobody would be left who holds its sockets or ends it.
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	_ = syscall.Close(pair[1]) // the child's
	if err != nil {
		_ = syscall.Close(pair[0]) // was never used
		return nil, fmt.Errorf("%s: %w", p.path, err)
	}
	c := &child{pid: pid, fd: pair[0], exited: make(chan syscall.WaitStatus, 1), done: make(chan struct{})}
	go c.reap()
	go p.serve(c)
	return c, nil
}

// reap waits for the child, and buries every orphan that dies meanwhile, as
// process 1 must.
func (c *child) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if pid == c.pid || err == syscall.ECHILD {
			c.exited <- status
			return
		}
	}
}

// serve hands the child what is held, then takes its messages until it is dead
// and every one has been read.
func (p *parent) serve(c *child) {
	defer close(c.done)
	err := p.hand(c.fd)
	dead := errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
	if err != nil && !dead {
		p.log.Error("the program was not handed all that is held", "error", err)
	}
	p.take(c)
}

func (p *parent) hand(fd int) error {
	err := send(fd, verbBegin, fmt.Sprint(p.policy.restarts, " ", p.policy.row))
	for _, name := range p.store.all() {
		if err == nil {
			err = send(fd, verbKeep, name, p.store.names[name]...)
		}
	}
	if err == nil {
		err = send(fd, verbEnd, "")
	}
	return err
}
