package kubecmd

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
	"github.com/dipcast/dipcast/pbx"
)

const callsUsage = `
PROGRAM calls TENANT [--watch] [--cdrs [--limit N]] [-n NAMESPACE] [-o wide|json|yaml]

Shows the calls that are up, or with --cdrs the last call records. Asks the
PBX through the API server (port-forward), with the token of its Secret.
`

// watchEvery is how often --watch asks.
const watchEvery = 2 * time.Second

func calls(ctx context.Context, env *Env, args []string) error {
	f := newFlags(env, "calls", callsUsage, false, formatWide, formatJSON, formatYAML)
	var watch, cdrs bool
	limit := 20
	f.flag(&watch, "w", "watch", "ask again every 2 seconds until interrupted")
	f.flag(&cdrs, "", "cdrs", "the last call records, newest first")
	f.number(&limit, "limit", "how many records, 1 to 1000; default: 20")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	if watch && cdrs {
		return f.wrong("--watch goes with running calls only, not with --cdrs")
	}
	c, namespace, err := f.connect()
	if err != nil {
		return err
	}
	t, err := c.Tenant(ctx, tenantName(rest[0], namespace))
	if err != nil {
		return err
	}
	p, err := c.PBX(ctx, t)
	if err != nil {
		return err
	}
	defer p.Close()
	switch {
	case cdrs:
		return showRecords(ctx, f, p, limit)
	case watch:
		return watchCalls(ctx, f, p)
	}
	return showCalls(ctx, f, p)
}

func showCalls(ctx context.Context, f *flags, p *cluster.PBX) error {
	list, err := p.Calls(ctx)
	if err != nil {
		return err
	}
	if list == nil {
		list = []pbx.Call{}
	}
	if f.output == formatJSON || f.output == formatYAML {
		return f.print(struct {
			Calls []pbx.Call `json:"calls"`
		}{list})
	}
	if len(list) == 0 {
		fmt.Fprintf(f.env.Stdout, "No call is up on %s.\n", p.Tenant)
		return nil
	}
	rows := make([][]string, len(list))
	for i := range list {
		l := &list[i]
		since := l.Started
		if !l.Answered.IsZero() {
			since = l.Answered
		}
		rows[i] = []string{
			f.id(l.ID), string(l.Direction), string(l.State), party(l.From), party(l.To), answerer(l.AnsweredBy),
			orDash(l.PulledBy), clock(f.env.Now().Sub(since)),
		}
	}
	f.env.roomy(f.output).table(f.env.Stdout, []column{
		{head: "CALL"},
		{head: "DIRECTION", rank: 2},
		{head: "STATE"},
		{head: "FROM"},
		{head: "TO"},
		{head: "ANSWERED BY"},
		{head: "PULLED BY", rank: 1},
		{head: "TIME"},
	}, rows)
	return nil
}

// watchCalls shows the calls again and again; on a terminal in place.
func watchCalls(ctx context.Context, f *flags, p *cluster.PBX) error {
	const clearScreen = "\x1b[H\x1b[2J"
	for {
		var text strings.Builder
		out := *f.env
		out.Stdout = &text
		if out.Width > 0 && f.output != formatJSON {
			text.WriteString(clearScreen)
		}
		g := *f
		g.env = &out
		if err := showCalls(ctx, &g, p); err != nil {
			return unlessDone(ctx, err)
		}
		if _, err := io.WriteString(f.env.Stdout, text.String()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.env.After(watchEvery):
		}
	}
}

// unlessDone is err, unless the user has interrupted: that is the usual end
// of what goes on until then.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

func showRecords(ctx context.Context, f *flags, p *cluster.PBX, limit int) error {
	const most = 1000
	if limit < 1 || limit > most {
		return f.wrong("--limit %d: must be 1 to %d", limit, most)
	}
	list, err := p.CDRs(ctx, limit)
	if err != nil {
		return err
	}
	if list == nil {
		list = []pbx.CDR{}
	}
	if f.output == formatJSON || f.output == formatYAML {
		return f.print(pbx.CDRPage{Records: list})
	}
	if len(list) == 0 {
		fmt.Fprintf(f.env.Stdout, "%s has no call records yet.\n", p.Tenant)
		return nil
	}
	rows := make([][]string, len(list))
	for i := range list {
		r := &list[i]
		rows[i] = []string{
			r.Started.In(f.env.Zone).Format("01-02 15:04:05"), string(r.Direction), party(r.From), party(r.To), string(r.Disposition),
			answerer(r.AnsweredBy), orDash(r.PulledBy), clock(r.Talk()), f.id(r.ID),
		}
	}
	f.env.roomy(f.output).table(f.env.Stdout, []column{
		{head: "STARTED"},
		{head: "DIRECTION", rank: 3},
		{head: "FROM"},
		{head: "TO"},
		{head: "OUTCOME"},
		{head: "ANSWERED BY", rank: 2},
		{head: "PULLED BY", rank: 1},
		{head: "TALK"},
		{head: "CALL"},
	}, rows)
	return nil
}

// id is a call's ID, long enough for a person to tell calls apart and for
// logs --call.
func (f *flags) id(id pbx.CallID) string {
	const short = 8
	if f.output == formatWide || len(id) <= short {
		return string(id)
	}
	return string(id[:short])
}

func party(p pbx.Party) string {
	if p.Extension != "" {
		return p.Extension
	}
	return orDash(p.Number)
}

// answerer is the telephone that was answered: of an extension's call that was
// pulled to the mobile, the mobile.
func answerer(p pbx.Party) string {
	if p.Number != "" {
		return p.Number
	}
	return party(p)
}

// clock is a length of time as phones show it.
func clock(d time.Duration) string {
	s := int(max(d, 0).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
