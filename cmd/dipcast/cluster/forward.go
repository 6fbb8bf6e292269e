package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// forwarder opens connections to ports of pods as `kubectl port-forward` does,
// but without a listening port that other users of this machine could reach.
type forwarder struct {
	cfg    *rest.Config
	client rest.Interface
}

func (f forwarder) dial(ctx context.Context, pod types.NamespacedName, port int) (net.Conn, error) {
	type opened struct {
		conn net.Conn
		err  error
	}
	done := make(chan opened, 1)
	go func() {
		conn, err := f.open(pod, port)
		done <- opened{conn, err}
	}()
	select {
	case <-ctx.Done():
		// The library's dial knows no context; what it still opens is closed.
		go func() {
			if o := <-done; o.err == nil {
				_ = o.conn.Close()
			}
		}()
		return nil, context.Cause(ctx)
	case o := <-done:
		if o.err != nil {
			return nil, fmt.Errorf("port-forward to pod %s: %w", pod, o.err)
		}
		return o.conn, nil
	}
}

// open opens the two streams of one forwarded connection: over WebSocket, and
// over SPDY for old servers and proxies.
func (f forwarder) open(pod types.NamespacedName, port int) (net.Conn, error) {
	target := f.client.Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("portforward").URL()
	socket, err := portforward.NewSPDYOverWebsocketDialer(target, f.cfg)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(f.cfg)
	if err != nil {
		return nil, err
	}
	old := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	conn, _, err := portforward.NewFallbackDialer(socket, old, func(error) bool { return true }).Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	header.Set(corev1.StreamType, corev1.StreamTypeError)
	header.Set(corev1.PortHeader, strconv.Itoa(port))
	header.Set(corev1.PortForwardRequestIDHeader, "0")
	failures, err := conn.CreateStream(header)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	_ = failures.Close() // our half: nothing is written to it
	header.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(header)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s := &stream{
		ReadWriter: data, reset: data.Reset, closeAll: conn.Close,
		name: fmt.Sprintf("pod %s port %d", pod, port), failed: make(chan struct{}),
	}
	go s.watch(failures)
	return s, nil
}

// stream is one forwarded connection. Its goroutine reads what the node tells
// of failures and ends when the connection is closed.
type stream struct {
	io.ReadWriter
	reset    func() error
	closeAll func() error
	name     string

	failed  chan struct{} // closed once failure stands
	failure error
}

func (s *stream) watch(failures io.Reader) {
	defer close(s.failed)
	const longest = 4 << 10
	text, err := io.ReadAll(io.LimitReader(failures, longest))
	if err == nil && len(text) > 0 {
		s.failure = fmt.Errorf("%s: %s", s.name, strings.TrimSpace(string(text)))
		_ = s.closeAll() // wakes the reader
	}
}

// Read tells the node's reason in place of a bare end of file.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.ReadWriter.Read(p)
	if err == nil || n > 0 {
		return n, nil
	}
	// The node ends the stream of failures after the data, with a reason or
	// without; what it still wants to send of the data would keep it from it.
	_ = s.reset()
	<-s.failed
	if s.failure != nil {
		return 0, s.failure
	}
	if errors.Is(err, io.EOF) {
		return 0, io.EOF
	}
	return 0, fmt.Errorf("%s: %w", s.name, err)
}

func (s *stream) Close() error {
	_ = s.reset()
	err := s.closeAll()
	<-s.failed
	return err
}

// The deadlines of a forwarded connection are those of its request's context.
func (s *stream) SetDeadline(time.Time) error      { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr and RemoteAddr name the pod's port.
func (s *stream) LocalAddr() net.Addr  { return address("port-forward") }
func (s *stream) RemoteAddr() net.Addr { return address(s.name) }

type address string

func (address) Network() string  { return "port-forward" }
func (a address) String() string { return string(a) }
