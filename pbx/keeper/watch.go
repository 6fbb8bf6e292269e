package keeper

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"time"
)

// take reads the child's messages. What is wrong is told, not more often than
// complaints are worth reading, and changes nothing.
func (p *parent) take(c *child) {
	complaints := 10
	for in := newConn(c.fd); ; {
		m, err := in.receive()
		if err != nil && !errors.Is(err, errMessage) {
			return
		}
		ready := false
		if err == nil {
			ready, err = p.store.handle(m)
		}
		if err == nil && m.verb == verbRelease {
			err = send(c.fd, verbEnd, "")
		}
		if err != nil && complaints > 0 {
			complaints--
			p.log.Error("a message of the program is refused", "error", err)
		}
		if ready && c.ready.IsZero() {
			c.ready = p.now()
		}
	}
}

// watch passes signals on until the child has ended, and waits for its
// goroutines.
func (p *parent) watch(c *child) (status syscall.WaitStatus) {
	for ended := false; !ended; {
		select {
		case s := <-p.signals:
			p.signal(s, c.pid)
		case status = <-c.exited:
			ended = true
		}
	}
	// What the child had sent can still be read; nobody can send more.
	_ = syscall.Shutdown(c.fd, syscall.SHUT_RD) // fails only if all is read
	<-c.done
	_ = syscall.Close(c.fd) // nothing is left in it
	return status
}

// signal does what a signal asks for; pid 0: no child runs.
func (p *parent) signal(s os.Signal, pid int) {
	number, ok := s.(syscall.Signal)
	if !ok {
		return
	}
	switch number {
	case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT:
		p.stopping = true
	case syscall.SIGUSR2:
		p.replaced = true
	}
	if pid != 0 {
		_ = syscall.Kill(pid, number) // it may just have ended
	}
}

// judge decides after the end of a child when the next one is started, or that
// our end has come.
func (p *parent) judge(c *child, status syscall.WaitStatus) (pause time.Duration, again bool) {
	p.served = p.served || !c.ready.IsZero()
	switch {
	case p.stopping, status.Exited() && status.ExitStatus() == 0 && !p.replaced:
		return 0, false
	case p.replaced:
		p.replaced = false
		p.log.Info("the program has handed over and is started anew", "holding", p.store.files)
		return 0, true
	case status.Exited() && !p.served:
		return 0, false // it said why, and no try has been better
	}
	var served time.Duration
	if !c.ready.IsZero() {
		served = p.now().Sub(c.ready)
	}
	if pause, again = p.policy.died(served); again {
		p.log.Error("the program has died and is started again", "cause", cause(status), "served", served,
			"pause", pause, "row", p.policy.row, "restarts", p.policy.restarts, "holding", p.store.files)
	}
	// Otherwise its own last words stay the last: they tell more.
	return pause, again
}

// rest waits before the next start; false if the end was asked for.
func (p *parent) rest(pause time.Duration) bool {
	t := time.NewTimer(pause)
	defer t.Stop()
	for !p.stopping {
		select {
		case s := <-p.signals:
			p.signal(s, 0)
		case <-t.C:
			return true
		}
	}
	return false
}

// exitCode is what a shell says of an end.
func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

func cause(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal: " + status.Signal().String()
	}
	return "exit code " + strconv.Itoa(status.ExitStatus())
}
