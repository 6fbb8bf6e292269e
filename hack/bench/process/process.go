package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the unit of /proc/PID/stat (USER_HZ, 100 on every Linux).
const clockTick = 10 * time.Millisecond

// Process is a program that is measured. It dies with the benchmark.
type Process struct {
	Name string
	cmd  *exec.Cmd
	log  string // file with its output
	done chan struct{}
	err  error // valid once done
}

// Start runs a program in dir, where its output is in a file, and its core
// should it crash; stdout, if not nil, gets the standard output instead.
func Start(dir, name string, stdout io.Writer, bin string, args ...string) (*Process, error) {
	p := &Process{Name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	path, err := exec.LookPath(bin)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, err
	}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(path, args...) //nolint:noctx // ended by stop, in order
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, out, out
	if stdout != nil {
		p.cmd.Stdout = stdout
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	go func() {
		p.err = errors.Join(p.cmd.Wait(), out.Close())
		close(p.done)
	}()
	return p, nil
}

// Stop asks the process to end and waits; one that does not is killed.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// Failed describes the end of a process that should have gone on.
func (p *Process) Failed() error {
	text, _ := os.ReadFile(p.log)
	return fmt.Errorf("%s has ended: %w\n%s", p.Name, p.err, text[max(0, len(text)-2000):])
}

// Until asks again and again until ready says yes or the process has ended.
func (p *Process) Until(ctx context.Context, ready func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !ready(ctx) {
		select {
		case <-again.C:
		case <-p.done:
			return p.Failed()
		case <-ctx.Done():
			return fmt.Errorf("%s does not get ready: %w (see %s)", p.Name, ctx.Err(), p.log)
		}
	}
	return nil
}

// Answers reports whether a URL answers with 200.
func Answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// CPU is what the process and its children have used, user and system time of
// all threads.
func (p *Process) CPU() (sum time.Duration) {
	for _, used := range p.tree() {
		sum += used
	}
	return sum
}

// tree is the process and all below it, with the CPU time of each.
func (p *Process) tree() map[int]time.Duration {
	used := map[int]time.Duration{}
	parents := map[int]int{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if parent, d, ok := stat(dir); ok {
			used[pid], parents[pid] = d, parent
		}
	}
	below := map[int]time.Duration{}
	for pid, d := range used {
		for q := pid; q > 1; q = parents[q] {
			if q == p.cmd.Process.Pid {
				below[pid] = d
				break
			}
		}
	}
	return below
}

// stat reads parent and CPU time of one process (proc(5): fields 4, 14, 15).
func stat(dir string) (parent int, used time.Duration, ok bool) {
	text, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, 0, false
	}
	// The name in parentheses may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, 0, false
	}
	parent, _ = strconv.Atoi(fields[1])
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return parent, time.Duration(user+system) * clockTick, true
}

// Memory is resident memory of the process and its children in bytes: VmRSS
// all of it, RssAnon what no other process of the same program shares.
func (p *Process) Memory(field string) float64 { return p.sum("status", field) }

// Share is what the process and its children have of the machine's memory in
// bytes: a page that ten processes share counts a tenth in each (Pss).
func (p *Process) Share() float64 { return p.sum("smaps_rollup", "Pss") }

func (p *Process) sum(file, field string) (sum float64) {
	for pid := range p.tree() {
		sum += memory(pid, file, field)
	}
	return sum
}

func memory(pid int, file, field string) float64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), field+":"); ok {
			kb, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(v, "kB")), 64)
			return kb * 1024
		}
	}
	return 0
}

// Wait lets d pass, or ends early with an error if ctx or the process ends.
func (p *Process) Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.done:
		return p.Failed()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PID is the process ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }
