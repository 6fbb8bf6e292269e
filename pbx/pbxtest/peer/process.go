package peer

import (
	"bytes"
	"context"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a child that ends with its test.
type process struct {
	cmd    *exec.Cmd
	out    output
	exited chan struct{}
	err    error // valid once exited is closed
	once   sync.Once
}

// output collects what a child prints, the last 64 KiB.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const maxOutput = 64 << 10

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.b.Len()+len(p) > maxOutput {
		o.b.Next(min(o.b.Len(), len(p)))
	}
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// need returns where a program is; the test fails without it, since a peer
// that is missing proves nothing. Only -short leaves peers out.
func need(tb testing.TB, program, pkg string) string {
	tb.Helper()
	if testing.Short() {
		tb.Skipf("needs %s", program)
	}
	path, err := exec.LookPath(program)
	if err != nil {
		tb.Fatalf("%s is not installed: apt-get install -y %s (go test -short leaves peers out)", program, pkg)
	}
	return path
}

func launch(tb testing.TB, dir, path string, args ...string) (*process, error) {
	tb.Helper()
	p := &process{exited: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(tb.Context()), path, args...) //nolint:gosec // a program of Debian
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.WaitDelay = time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.exited)
		p.err = p.cmd.Wait()
	}()
	tb.Cleanup(p.stop)
	return p, nil
}

// politely is how long a child may take to end by itself.
const politely = 5 * time.Second

// stop ends the child and waits for it.
func (p *process) stop() {
	p.once.Do(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		timer := time.NewTimer(politely)
		defer timer.Stop()
		select {
		case <-p.exited:
		case <-timer.C:
			_ = p.cmd.Process.Kill()
		}
	})
	<-p.exited
}
