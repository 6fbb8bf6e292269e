// Package pgtest starts a PostgreSQL of its own for one test binary: a fresh
// cluster in a temporary folder, reached over a Unix socket only, without
// durability. Started as root it runs as the user postgres, since PostgreSQL
// refuses root. Without PostgreSQL, Start is an error. Stop ends the server, waits for it and removes the folder.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// startTimeout bounds initdb and the server's start on a slow, busy machine.
const startTimeout = 90 * time.Second

// Server is one PostgreSQL server.
type Server struct {
	bin    string
	dir    string
	who    *syscall.Credential
	cmd    *exec.Cmd
	log    *bytes.Buffer
	exited chan struct{}
	stop   sync.Once
	n      atomic.Int64
}

// Start makes a cluster and starts its server. The caller must Stop it.
func Start(ctx context.Context) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, log: &bytes.Buffer{}, exited: make(chan struct{})}
	if err := s.start(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// find returns the folder with the newest server's programs.
func find() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed: apt-get install -y postgresql (go test -short leaves it out)")
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(found[len(found)-1]), nil
}

func version(initdb string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	if err != nil {
		return 0
	}
	return n
}

func (s *Server) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.becomePostgres(); err != nil {
		close(s.exited)
		return err
	}
	data := filepath.Join(s.dir, "data")
	if err := s.run(ctx, "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		close(s.exited)
		return err
	}
	return s.serve(ctx)
}

// serve starts the server of the cluster.
func (s *Server) serve(ctx context.Context) error {
	// Not bound to ctx: the server lives until Stop.
	s.cmd = s.command(context.WithoutCancel(ctx), "postgres", "-D", filepath.Join(s.dir, "data"), "-k", s.dir,
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "synchronous_commit=off",
		"-c", "full_page_writes=off", "-c", "max_connections=100", "-c", "shared_buffers=32MB")
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		close(s.exited)
		return fmt.Errorf("postgres: %w", err)
	}
	cmd, exited := s.cmd, s.exited
	go func() {
		defer close(exited)
		_ = cmd.Wait() // its end is asked for with a signal
	}()
	return s.ready(ctx)
}

// Away ends the server and leaves its databases for Back.
func (s *Server) Away() {
	_ = s.cmd.Process.Signal(syscall.SIGINT) // the fast shutdown; it may have ended
	<-s.exited
}

// Back starts the server again after Away.
func (s *Server) Back(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s.exited = make(chan struct{})
	return s.serve(ctx)
}

// becomePostgres drops root.
func (s *Server) becomePostgres() error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("PostgreSQL refuses root, and there is no user postgres: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return err
	}
	s.who = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.dir, int(uid), int(gid))
}

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...) //nolint:gosec // a fixed program of Debian
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "HOME="+s.dir, "LC_ALL=C")
	// A test binary that is killed takes its server along.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.who, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (s *Server) run(ctx context.Context, name string, args ...string) error {
	if out, err := s.command(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// ready waits until the server takes connections.
func (s *Server) ready(ctx context.Context) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if s.run(ctx, "pg_isready", "-q", "-h", s.dir, "-U", "postgres") == nil {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("postgres ended: %s", bytes.TrimSpace(s.log.Bytes()))
		case <-ctx.Done():
			return fmt.Errorf("postgres does not take connections: %w", ctx.Err())
		case <-again.C:
		}
	}
}

// NewDatabase makes an empty database and returns its URL.
func (s *Server) NewDatabase(ctx context.Context) (dsn string, err error) {
	name := "test" + strconv.FormatInt(s.n.Add(1), 10)
	if err := s.run(ctx, "createdb", "-h", s.dir, "-U", "postgres", name); err != nil {
		return "", err
	}
	return s.dsn(name), nil
}

func (s *Server) dsn(name string) string {
	u := url.URL{Scheme: "postgres", Path: "/" + name}
	u.RawQuery = url.Values{"host": {s.dir}, "user": {"postgres"}}.Encode()
	return u.String()
}

// Stop ends the server at once, waits for it and removes its folder.
func (s *Server) Stop() {
	s.stop.Do(func() {
		if s.cmd != nil && s.cmd.Process != nil {
			// SIGQUIT is the immediate shutdown: nothing is worth saving.
			_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		}
		<-s.exited
		_ = os.RemoveAll(s.dir)
	})
}
