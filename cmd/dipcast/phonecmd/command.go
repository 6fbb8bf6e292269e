package phonecmd

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// command is one parsed line.
type command struct {
	verb    string
	text    string        // a number, a file, keys
	what    string        // of wait
	value   float64       // Hz, a status code, seconds, a count
	timeout time.Duration // of wait, or the length of sleep
}

// defaultWait bounds a wait that names no time.
const defaultWait = 30 * time.Second

// arity says how many arguments a verb takes.
type arity struct {
	least, most int
	parse       func(*command, []string) error
}

func verbs() map[string]arity {
	return map[string]arity{
		"register":   {0, 1, numberOr(300, 0, 86400)},
		"unregister": {},
		"dial":       {1, 1, textArg},
		"ring":       {},
		"answer":     {},
		"reject":     {0, 1, numberOr(486, 300, 699)},
		"tone":       {1, 1, numberOr(0, 20, 3999)},
		"play":       {1, 1, textArg},
		"silence":    {},
		"record":     {1, 1, textArg},
		"dtmf":       {1, 1, textArg},
		"hold":       {},
		"resume":     {},
		"wait":       {1, 3, parseWait},
		"hangup":     {},
		"sleep":      {1, 1, parseSleep},
		"status":     {},
		"help":       {},
		"quit":       {},
	}
}

// parse reads one line; an empty line or a comment is a command without a verb.
func parse(line string) (command, error) {
	fields := strings.Fields(line)
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		return command{}, nil
	}
	c := command{verb: strings.ToLower(fields[0])}
	args := fields[1:]
	a, ok := verbs()[c.verb]
	switch {
	case !ok:
		return c, fmt.Errorf("%q: no such command; \"help\" lists them", fields[0])
	case len(args) < a.least:
		return c, fmt.Errorf("%q: an argument is missing", line)
	case len(args) > a.most:
		return c, fmt.Errorf("%q: too many arguments", line)
	case a.parse == nil:
		return c, nil
	}
	if err := a.parse(&c, args); err != nil {
		return c, fmt.Errorf("%q: %w", line, err)
	}
	return c, nil
}

func textArg(c *command, args []string) error {
	c.text = args[0]
	return nil
}

// numberOr reads an optional number within bounds.
func numberOr(missing, least, most float64) func(*command, []string) error {
	return func(c *command, args []string) error {
		c.value = missing
		if len(args) == 0 {
			return nil
		}
		v, err := strconv.ParseFloat(args[0], 64)
		if err != nil || !(v >= least && v <= most) {
			return fmt.Errorf("%s must be a number from %g to %g", args[0], least, most)
		}
		c.value = v
		return nil
	}
}

func parseSleep(c *command, args []string) error {
	d, err := time.ParseDuration(args[0])
	if err != nil || d < 0 {
		return fmt.Errorf("%s must be a duration like 500ms or 2s", args[0])
	}
	c.timeout = d
	return nil
}

func parseWait(c *command, args []string) error {
	c.what, c.timeout = strings.ToLower(args[0]), defaultWait
	rest := args[1:]
	switch c.what {
	case "incoming", "ringing", "answered", "held", "resumed", "ended", "played":
	case "tone", "notone", "keys":
		if len(rest) == 0 {
			return fmt.Errorf("wait %s needs a number", c.what)
		}
		if err := numberOr(0, 1, 3999)(c, rest); err != nil {
			return err
		}
		rest = rest[1:]
	default:
		return fmt.Errorf("wait for %q: must be incoming, ringing, answered, held, resumed, ended, tone, notone, keys or played", args[0])
	}
	switch len(rest) {
	case 0:
		return nil
	case 1:
		d, err := time.ParseDuration(rest[0])
		if err != nil || d <= 0 {
			return fmt.Errorf("the timeout %s must be a duration like 10s", rest[0])
		}
		c.timeout = d
		return nil
	}
	return fmt.Errorf("wait %s: too many arguments", c.what)
}
