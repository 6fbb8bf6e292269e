package workssim

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/dipcast/dipcast/pbx/works/sim"
)

// several is a flag that may be given several times.
type several []string

func (p *several) String() string { return strings.Join(*p, ",") }

// Set implements flag.Value.
func (p *several) Set(v string) error {
	*p = append(*p, v)
	return nil
}

// Run is the command. It serves until ctx ends; the result is the exit code:
// 0 after the end of ctx, 1 for a failure, 2 for wrong flags.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("dipcast works-sim", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:9080", "`address` to listen on")
	base := flags.String("url", "", "base `URL` that others reach the simulator at (default: http://ADDRESS, https:// with TLS)")
	config := flags.String("config", "", "YAML `file` with apps, bots, users, contacts and ratePerMinute (default: the demo's company)")
	var from several
	flags.Var(&from, "from", "manifest `file or folder`: the bot's secrets and the people are taken from it; may be given several times")
	var t network
	t.flags(flags)
	flags.Usage = func() {
		_, _ = fmt.Fprint(stderr, "Usage: dipcast works-sim [flags]\n\nA NAVER WORKS to develop and test against, with a chat page in the browser.\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if flags.NArg() > 0 {
		_, _ = fmt.Fprintf(stderr, "dipcast works-sim: takes no arguments: %q: name manifests with --from\n", flags.Args())
		return 2
	}
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	cfg, err := load(*config, from)
	if *base != "" {
		cfg.BaseURL = *base
	}
	if err == nil {
		err = t.complete(&cfg, *listen)
	}
	if err == nil {
		cfg.Logger = logger
		err = serve(ctx, cfg, *listen, stdout)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "dipcast works-sim: %v\n", err)
		return 1
	}
	return 0
}

// serve runs the simulator until ctx ends.
func serve(ctx context.Context, cfg sim.Config, listen string, stdout io.Writer) error {
	s, err := sim.New(cfg)
	if err != nil {
		return err
	}
	if err := s.Start(listen); err != nil {
		return errors.Join(err, s.Close())
	}
	_, _ = fmt.Fprintf(stdout, "chat:  %s/chat\n", s.URL())
	_, _ = fmt.Fprintf(stdout, "api:   %s\nauth:  %s\nissuer: %s\n", s.APIURL(), s.AuthURL(), s.URL())
	for _, u := range cfg.Users {
		_, _ = fmt.Fprintf(stdout, "user:  %s %s\n", u.Email, u.Name.Full())
	}
	<-ctx.Done()
	return s.Close()
}
