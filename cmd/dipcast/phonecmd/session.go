package phonecmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/media/audiofile"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
)

// session is the phone with its present call.
type session struct {
	phone      *phone.Phone
	call       *phone.Call // the last one that was dialled or came in
	played     <-chan struct{}
	record     string // file of the recording that runs, empty = none
	mark       int    // where it began
	registered bool

	mu  sync.Mutex // serialises lines of commands and of events
	out io.Writer
}

func newSession(cfg phone.Config, out io.Writer) (*session, error) {
	s := &session{out: out}
	cfg.Notify = func(e phone.Event) { s.say("event %s %s", e.Kind, e.Text) }
	p, err := phone.New(cfg)
	if err != nil {
		return nil, err
	}
	s.phone = p
	s.say("listening on %s", p.Addr())
	return s, nil
}

// sourceFor returns a free port of the local address from which the server is
// reached; loopback without a server.
func sourceFor(server string) (string, error) {
	if server == "" {
		return "127.0.0.1:0", nil
	}
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(strings.Trim(server, "[]"), "5060")
	}
	// A UDP "connection" sends nothing; it only asks for the route.
	addr, err := net.ResolveUDPAddr("udp", server)
	if err != nil {
		return "", fmt.Errorf("--server %q: %w", server, err)
	}
	c, err := net.DialUDP("udp", nil, addr)
	if err != nil {
		return "", fmt.Errorf("--server %q: %w", server, err)
	}
	defer func() { _ = c.Close() }()
	local, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return "127.0.0.1:0", nil
	}
	return net.JoinHostPort(local.IP.String(), "0"), nil
}

// say prints one line.
func (s *session) say(format string, args ...any) {
	line := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	// A reader that is gone does not end the call.
	_, _ = fmt.Fprintln(s.out, printable(line))
}

// printable takes control characters out: names come from the network, and a
// terminal obeys escape sequences.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '?'
		}
		return r
	}, line)
}

// errQuit ends the commands.
var errQuit = errors.New("quit")

// script runs commands until one fails.
func (s *session) script(ctx context.Context, commands []command) int {
	for _, c := range commands {
		switch err := s.run(ctx, c); {
		case errors.Is(err, errQuit):
			return exitOK
		case err != nil:
			s.say("error %s: %v", c.verb, err)
			return exitFailed
		}
	}
	return exitOK
}

// interactive runs lines of the standard input until it ends; a command that
// fails does not end it.
func (s *session) interactive(ctx context.Context, stdin io.Reader) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	code := exitOK
	lines := make(chan string)
	// A read of a terminal cannot be interrupted: this goroutine ends with the
	// next line, with its input, or with the program.
	go func() {
		defer close(lines)
		in := bufio.NewScanner(stdin)
		for in.Scan() {
			select {
			case lines <- in.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		var line string
		var ok bool
		select {
		case line, ok = <-lines:
		case <-ctx.Done():
		}
		if !ok {
			return code
		}
		c, err := parse(line)
		if err == nil {
			err = s.run(ctx, c)
		}
		switch {
		case errors.Is(err, errQuit):
			return code
		case err != nil:
			s.say("error %v", err)
			code = exitFailed
		}
	}
}

// run executes one command.
func (s *session) run(ctx context.Context, c command) error {
	switch c.verb {
	case "":
		return nil
	case "quit":
		return errQuit
	case "help":
		s.mu.Lock()
		defer s.mu.Unlock()
		_, err := io.WriteString(s.out, usage)
		return err
	case "sleep":
		return pause(ctx, c.timeout)
	case "register", "unregister":
		return s.register(ctx, c)
	case "dial":
		return s.dial(ctx, c.text)
	case "wait":
		ctx, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		return s.wait(ctx, c)
	case "ring", "answer", "reject":
		return s.respond(ctx, c)
	}
	if s.call == nil {
		return errors.New("there is no call")
	}
	return s.inCall(ctx, c)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// requestTimeout bounds requests that have no other bound; it is longer than
// a transaction (RFC 3261, timers B and F), whose end says more.
const requestTimeout = 35 * time.Second

func (s *session) register(ctx context.Context, c command) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if c.verb == "unregister" {
		s.registered = false
		return s.phone.Unregister(ctx)
	}
	err := s.phone.Register(ctx, time.Duration(c.value)*time.Second)
	// One that was interrupted may have reached the server.
	s.registered = err == nil || errors.Is(err, context.Canceled)
	return err
}

func (s *session) dial(ctx context.Context, target string) error {
	call, err := s.phone.Dial(ctx, target, phone.DialOptions{})
	if err != nil {
		return err
	}
	s.say("dialling %s", target)
	return s.take(call)
}

// take makes a call the present one.
func (s *session) take(call *phone.Call) error {
	err := s.finishRecording()
	s.call, s.played = call, nil
	return err
}

// respond answers the present incoming call, or the next one that comes.
func (s *session) respond(ctx context.Context, c command) error {
	ctx, cancel := context.WithTimeout(ctx, defaultWait)
	defer cancel()
	if s.call == nil || !s.call.Incoming() || s.call.State().Ended {
		if err := s.nextCall(ctx); err != nil {
			return err
		}
	}
	switch c.verb {
	case "ring":
		return s.call.Ring()
	case "reject":
		return s.call.Reject(int(c.value))
	}
	if s.call.State().Answered { // --auto-answer was faster
		return nil
	}
	return s.call.Answer(ctx)
}

func (s *session) nextCall(ctx context.Context) error {
	call, err := s.phone.WaitIncoming(ctx)
	if err != nil {
		return err
	}
	return s.take(call)
}

// inCall executes a command that needs a call.
func (s *session) inCall(ctx context.Context, c command) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	switch c.verb {
	case "tone":
		s.played = s.call.Play(tone.Sine(c.value, 0.4))
	case "silence":
		s.played = s.call.Play(nil)
	case "play":
		sound, err := audiofile.Read(c.text)
		if err != nil {
			return err
		}
		s.played = s.call.Play(sound.Source())
	case "record":
		return s.startRecording(c.text)
	case "dtmf":
		return s.call.SendDTMF(ctx, c.text)
	case "hold":
		return s.call.Hold(ctx)
	case "resume":
		return s.call.Resume(ctx)
	case "hangup":
		err := s.call.Hangup(ctx)
		return errors.Join(err, s.finishRecording())
	case "status":
		st, n := s.call.State(), s.call.Stats()
		s.say("status %s %s %s sent=%d received=%d lost=%d jitter=%s", st, st.PeerNumber, st.Codec, n.Sent, n.Received, n.Lost, n.Jitter)
	}
	return nil
}

func (s *session) wait(ctx context.Context, c command) error {
	if c.what == "incoming" {
		return s.nextCall(ctx)
	}
	if s.call == nil {
		return errors.New("there is no call")
	}
	switch c.what {
	case "ringing":
		return s.call.WaitRinging(ctx)
	case "answered":
		return s.call.WaitAnswered(ctx)
	case "held":
		return s.call.WaitHeld(ctx, true)
	case "resumed":
		return s.call.WaitHeld(ctx, false)
	case "ended":
		_, err := s.call.WaitEnded(ctx)
		return errors.Join(err, s.finishRecording())
	case "tone":
		if err := s.call.WaitTone(ctx, c.value); err != nil {
			return err
		}
		s.say("heard %g Hz", c.value)
	case "notone":
		return s.call.WaitNoTone(ctx, c.value)
	case "keys":
		keys, err := s.call.WaitDigits(ctx, int(c.value))
		s.say("keys %s", keys)
		return err
	case "played":
		return s.waitPlayed(ctx)
	}
	return nil
}

func (s *session) waitPlayed(ctx context.Context) error {
	if s.played == nil {
		return errors.New("nothing is being played")
	}
	select {
	case <-s.played:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *session) startRecording(file string) error {
	if err := s.finishRecording(); err != nil || file == "off" {
		return err
	}
	s.record, s.mark = file, s.call.Audio().Mark()
	return nil
}

// finishRecording writes the recording that runs, if any.
func (s *session) finishRecording() error {
	if s.record == "" {
		return nil
	}
	file := s.record
	s.record = ""
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	sound := s.call.Audio().HeardSince(s.mark)
	if err := errors.Join(audiofile.Write(f, sound, audiofile.PCM16), f.Close()); err != nil {
		return fmt.Errorf("record %s: %w", file, err)
	}
	s.say("recorded %s: %.1f s", file, float64(len(sound.Samples()))/tone.Rate)
	return nil
}

// close ends the recording, the registration and the phone.
func (s *session) close(ctx context.Context) {
	if err := s.finishRecording(); err != nil {
		s.say("error %v", err)
	}
	if s.registered {
		// Also after an interrupt the binding is taken back.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := s.phone.Unregister(ctx); err != nil {
			s.say("error unregister: %v", err)
		}
	}
	s.phone.Close()
}
