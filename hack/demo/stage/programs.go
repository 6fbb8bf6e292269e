package stage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Programs are the processes of a demo, each with its output in a file.
type Programs struct {
	Dir  string // of the output: VERB.log
	Hint string // what to look at when one does not start

	list []*program
}

type program struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // valid once done
}

// Start starts `bin verb args...`.
func (p *Programs) Start(bin, verb string, args ...string) error {
	out, err := os.Create(filepath.Join(p.Dir, verb+".log"))
	if err != nil {
		return err
	}
	// Not CommandContext: Ctrl-C must let the PBX drain.
	cmd := exec.Command(bin, append([]string{verb}, args...)...) //nolint:noctx // ended by Stop
	cmd.Stdout, cmd.Stderr = out, out
	// A process group of its own, so that the terminal's Ctrl-C reaches this
	// program alone, which ends the others in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return errors.Join(err, out.Close())
	}
	one := &program{name: verb, cmd: cmd, done: make(chan struct{})}
	go func() {
		one.err = errors.Join(cmd.Wait(), out.Close())
		close(one.done)
	}()
	p.list = append(p.list, one)
	return nil
}

// Stop ends the programs, the last one first, and waits for them.
func (p *Programs) Stop() error {
	var errs []error
	for i := len(p.list) - 1; i >= 0; i-- {
		one := p.list[i]
		_ = one.cmd.Process.Signal(syscall.SIGTERM)
		<-one.done
		var exit *exec.ExitError
		if one.err != nil && (!errors.As(one.err, &exit) || exit.ExitCode() > 0) {
			errs = append(errs, fmt.Errorf("%s: %w", one.name, one.err))
		}
	}
	p.list = nil
	return errors.Join(errs...)
}

// Wait returns when ctx ends or a program has ended by itself.
func (p *Programs) Wait(ctx context.Context) error {
	ended := make(chan string, len(p.list))
	for _, one := range p.list {
		go func() {
			<-one.done
			ended <- one.name
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case name := <-ended:
		return fmt.Errorf("%s has ended; see %s", name, filepath.Join(p.Dir, name+".log"))
	}
}

// Until asks url until it answers 200, or one of the programs has ended.
func (p *Programs) Until(ctx context.Context, client *http.Client, url string) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		for _, one := range p.list {
			select {
			case <-one.done:
				log, _ := os.ReadFile(filepath.Join(p.Dir, one.name+".log"))
				return fmt.Errorf("%s did not start; %s:\n%s", one.name, p.Hint, strings.TrimSpace(string(log)))
			default:
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: no answer: %w", url, ctx.Err())
		case <-again.C:
		}
	}
}
