package phonecmd

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/dipcast/dipcast/pbx/phone"
)

// The exit codes of Run.
const (
	exitOK     = 0
	exitFailed = 1 // a command or a wait failed
	exitUsage  = 2
)

const usage = `Usage: dipcast phone [flags] [-c "COMMAND; COMMAND" | --script FILE]

A SIP phone for the terminal. Without -c or --script it reads commands from
the standard input, one a line. It prints one line per result and per event.

Commands:
  register [SECONDS]     register at the server (default 300) and stay registered
  unregister             remove the registration
  dial NUMBER            call a number at the server, or sip:USER@HOST:PORT without one
  ring                   tell the caller that the phone rings
  answer                 answer the incoming call, waiting for one if there is none
  reject [CODE]          refuse the incoming call (default 486, busy)
  tone HZ                say a tone
  play FILE.wav          say a file (8 kHz mono: PCM, A-law or u-law)
  silence                say nothing any more
  record FILE.wav        write what is heard from now on, until "record off" or the end
  dtmf KEYS              press keys (0-9 * # A-D)
  hold, resume           put the other side on hold, take it back
  wait WHAT [TIMEOUT]    WHAT is incoming, ringing, answered, held, resumed, ended,
                         tone HZ, notone HZ, keys N or played; TIMEOUT like 10s (default 30s)
  hangup                 end the call
  sleep DURATION         do nothing, like 500ms
  status                 print the state of the call and its counters
  quit                   end

A # at the beginning of a line starts a comment. With -c and --script the first
command that fails ends the run. Exit code: 0 if every command succeeded, 1 if
one failed (a wait that timed out has failed), 2 for wrong usage.

The password is taken from --password-file, else from the environment variable
DIPCAST_PASSWORD, else from --password (which other users of the machine see).

Example: two phones that hear each other
  dipcast phone --user 102 --server 127.0.0.1:5060 -c "register; answer; tone 880; wait ended 60s" &
  dipcast phone --user 101 --server 127.0.0.1:5060 -c "register; dial 102; wait answered; wait tone 880; hangup"

Flags:
`

// options are the command line.
type options struct {
	cfg      phone.Config
	password string
	file     string
	codecs   string
	script   string
	inline   string
	ca       string
}

// Run is `dipcast phone`; it returns the exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	if err := o.complete(); err != nil {
		return complain(stderr, err, exitUsage)
	}
	commands, err := o.commands()
	if err != nil {
		return complain(stderr, err, exitUsage)
	}
	s, err := newSession(o.cfg, stdout)
	if err != nil {
		return complain(stderr, err, exitFailed)
	}
	defer s.close(ctx)
	if commands != nil {
		return s.script(ctx, commands)
	}
	return s.interactive(ctx, stdin)
}

// complain says what is wrong and returns the exit code. An error stream that
// cannot be written to leaves only the code.
func complain(stderr io.Writer, err error, code int) int {
	_, _ = fmt.Fprintf(stderr, "dipcast phone: %v\n", err)
	return code
}

func parseFlags(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("dipcast phone", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		_, _ = io.WriteString(stderr, usage)
		fs.PrintDefaults()
	}
	fs.StringVar(&o.cfg.User, "user", "", "user name: the extension's `NUMBER`")
	fs.StringVar(&o.password, "password", "", "password; better use --password-file")
	fs.StringVar(&o.file, "password-file", "", "`FILE` whose first line is the password")
	fs.StringVar(&o.cfg.DisplayName, "name", "", "display `NAME`")
	fs.StringVar(&o.cfg.Server, "server", "", "registrar and proxy, `HOST:PORT`; empty: direct calls")
	fs.StringVar(&o.cfg.Domain, "domain", "", "SIP domain, if it is not the server's host")
	fs.StringVar(&o.cfg.Transport, "transport", "UDP", "UDP, TCP, TLS or WSS")
	fs.StringVar(&o.ca, "ca", "", "with TLS and WSS: `FILE` with the certificates that are trusted (default: the system's)")
	fs.StringVar(&o.cfg.Listen, "listen", "", "local `ADDRESS:PORT` (default: a free port of the address that reaches the server)")
	fs.StringVar(&o.codecs, "codec", "PCMA,PCMU", "codecs in order of preference")
	fs.StringVar(&o.cfg.Digest, "digest", "", "answer only challenges with this algorithm: MD5 or SHA-256")
	fs.BoolVar(&o.cfg.AutoAnswer, "auto-answer", false, "answer calls at once")
	fs.StringVar(&o.script, "script", "", "`FILE` with commands, one a line")
	fs.StringVar(&o.inline, "c", "", "`COMMANDS`, separated by a semicolon and a space")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		err := fmt.Errorf("unexpected argument %q; commands go into -c or --script", fs.Arg(0))
		complain(stderr, err, exitUsage)
		return nil, err
	}
	return o, nil
}

// complete fills in what follows from other settings.
func (o *options) complete() error {
	if o.cfg.User == "" {
		return errors.New("--user is missing: give the extension's number")
	}
	if o.script != "" && o.inline != "" {
		return errors.New("-c and --script exclude each other")
	}
	for c := range strings.SplitSeq(o.codecs, ",") {
		o.cfg.Codecs = append(o.cfg.Codecs, strings.ToUpper(strings.TrimSpace(c)))
	}
	var err error
	if o.ca != "" {
		text, err := os.ReadFile(o.ca)
		if err != nil {
			return fmt.Errorf("--ca: %w", err)
		}
		o.cfg.Roots = x509.NewCertPool()
		if !o.cfg.Roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("--ca %s: there is no certificate in PEM form in it", o.ca)
		}
	}
	if o.cfg.Listen == "" {
		if o.cfg.Listen, err = sourceFor(o.cfg.Server); err != nil {
			return err
		}
	}
	o.cfg.Password, err = o.secret()
	return err
}

func (o *options) secret() (string, error) {
	if o.file == "" {
		if p := os.Getenv("DIPCAST_PASSWORD"); p != "" {
			return p, nil
		}
		return o.password, nil
	}
	b, err := os.ReadFile(o.file)
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimRight(line, "\r"), nil
}

// commands returns what -c or --script says, nil if neither is given.
func (o *options) commands() ([]command, error) {
	// A semicolon without a space after it belongs to a SIP URI.
	text := strings.ReplaceAll(strings.TrimSuffix(strings.TrimSpace(o.inline), ";"), "; ", "\n")
	if o.script != "" {
		b, err := os.ReadFile(o.script)
		if err != nil {
			return nil, fmt.Errorf("--script: %w", err)
		}
		text = string(b)
	}
	if o.script == "" && o.inline == "" {
		return nil, nil
	}
	commands := []command{}
	in := bufio.NewScanner(strings.NewReader(text))
	for n := 1; in.Scan(); n++ {
		c, err := parse(in.Text())
		if err != nil {
			return nil, fmt.Errorf("command %d: %w", n, err)
		}
		if c.verb != "" {
			commands = append(commands, c)
		}
	}
	return commands, in.Err()
}
