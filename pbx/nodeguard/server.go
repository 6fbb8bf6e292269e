package nodeguard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Kernel drops packets.
type Kernel interface {
	// Add drops what comes from an entry's source to its port for d.
	Add(e Entry, d time.Duration) error
	// Remove takes entries back; those that ended by themselves do not matter.
	Remove(list []Entry) error
}

// Options is what a Server is made of.
type Options struct {
	Socket  string // empty = Socket
	User    uint32 // that PBXs run as
	Policy  *Policy
	Kernel  Kernel
	Log     *slog.Logger
	Clients int // that are served at a time; 0 = 1024
}

// Server is the helper's end of the line.
type Server struct {
	o Options
	l *net.UnixListener

	mu   sync.Mutex // guards the policy and what follows
	next int
	open map[int]*net.UnixConn
	wg   sync.WaitGroup
}

// Listen opens the socket; Serve serves it.
func Listen(o Options) (*Server, error) {
	if o.Socket == "" {
		o.Socket = Socket
	}
	if o.Clients == 0 {
		o.Clients = 1024
	}
	l, err := net.ListenUnix(network, &net.UnixAddr{Name: o.Socket, Net: network})
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w: one helper runs on a node", o.Socket, err)
	}
	return &Server{o: o, l: l, open: make(map[int]*net.UnixConn)}, nil
}

// Serve takes wishes until ctx ends.
func (s *Server) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.l.Close() })
	defer stop()
	for {
		conn, err := s.l.AcceptUnix()
		if err != nil {
			s.end()
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("socket %s: %w", s.o.Socket, err)
		}
		s.begin(conn)
	}
}

// begin serves a PBX if it is one.
func (s *Server) begin(conn *net.UnixConn) {
	uid, err := peer(conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && uid != s.o.User {
		err = fmt.Errorf("user %d is no PBX: they run as %d", uid, s.o.User)
	}
	if err == nil && len(s.open) >= s.o.Clients {
		err = fmt.Errorf("%d PBXs are served already", len(s.open))
	}
	if err != nil {
		s.o.Log.Warn("a client is turned away", "error", err)
		_ = conn.Close() // was never served
		return
	}
	s.next++
	id := s.next
	s.open[id] = conn
	s.wg.Go(func() { s.serve(id, conn) })
}

func (s *Server) serve(id int, conn *net.UnixConn) {
	defer func() {
		_ = conn.Close() // the PBX may have closed it already
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, id)
		s.o.Policy.Bye(id)
	}()
	buf, refused := make([]byte, maxMessage), 0
	for {
		n, err := conn.Read(buf)
		if err != nil || n == 0 {
			return
		}
		m, err := read(buf[:n])
		if err == nil {
			err = s.take(id, m)
		}
		if err == nil || errors.Is(err, errKnown) {
			continue
		}
		if refused++; refused&(refused-1) == 0 {
			s.o.Log.Warn("a wish is not fulfilled", "error", err, "times", refused)
		}
		if errors.Is(err, errWho) {
			return // it comes again, when the process before it has gone
		}
	}
}

// errWho ends the connection of a PBX that cannot be who it says to be.
var errWho = errors.New("a PBX is not served")

// take carries one message out.
func (s *Server) take(id int, m Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !m.Ban.IsValid() {
		lift, err := s.o.Policy.Hello(id, m.Port, m.Protect)
		if err != nil {
			return fmt.Errorf("%w: %w", errWho, err)
		}
		if len(lift) == 0 {
			return nil
		}
		return s.o.Kernel.Remove(lift)
	}
	// A number of seconds beyond an hour may not fit a Duration.
	e, d, err := s.o.Policy.Ban(id, m.Ban, time.Duration(min(m.Seconds, int(maxBan/time.Second)))*time.Second, time.Now())
	if err != nil {
		return err
	}
	if err := s.o.Kernel.Add(e, d); err != nil {
		s.o.Policy.drop(e)
		return err
	}
	s.o.Log.Info("a source is dropped by the kernel", "source", e.Source, "port", e.Port, "for", d)
	return nil
}

// end closes every connection and waits.
func (s *Server) end() {
	s.mu.Lock()
	for _, conn := range s.open {
		_ = conn.Close() // its reader notices
	}
	s.mu.Unlock()
	s.wg.Wait()
}
