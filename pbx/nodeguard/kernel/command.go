package kernel

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/dipcast/dipcast/pbx/nodeguard"
)

// Run is the program of the helper: `pbx node-guard`. It serves until ctx ends
// and then lifts every ban.
func Run(ctx context.Context, args []string, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("pbx node-guard", flag.ContinueOnError)
	flags.SetOutput(stderr)
	user := flags.Uint("user", 65532, "user that the PBXs of this node run as; nobody else is served")
	allow := flags.String("allow", "", "networks that are never banned, by comma, beside the node's own addresses and private ones")
	ports := flags.String("ports", "1024-65535", "SIP ports that PBXs may have, as ranges by comma: the port pools of their classes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ranges, err := portRanges(*ports)
	if err != nil {
		return err
	}
	never, err := neverBanned(*allow)
	if err != nil {
		return err
	}
	f, err := Open(-1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	log := slog.New(slog.NewTextHandler(stderr, nil))
	s, err := nodeguard.Listen(nodeguard.Options{User: uint32(*user), Policy: nodeguard.NewPolicy(never, ranges...), Kernel: f, Log: log})
	if err != nil {
		return err
	}
	log.Info("the kernel of this node drops what banned sources send to its PBXs", "user", *user, "ports", *ports, "never", never)
	return s.Serve(ctx)
}

// portRanges reads ranges like 10000-19999.
func portRanges(text string) (list []nodeguard.Ports, err error) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, _ := strings.Cut(strings.TrimSpace(part), "-")
		first, err1 := strconv.ParseUint(from, 10, 16)
		last, err2 := strconv.ParseUint(to, 10, 16)
		if err := errors.Join(err1, err2); err != nil || first == 0 || first > last {
			return nil, fmt.Errorf("--ports %q: must be ranges like 10000-19999", text)
		}
		list = append(list, nodeguard.Ports{From: uint16(first), To: uint16(last)})
	}
	return list, nil
}

// neverBanned joins the networks that were named with those that go without
// saying.
func neverBanned(named string) ([]netip.Prefix, error) {
	list := nodeguard.Private()
	for text := range strings.SplitSeq(named, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--allow %q: must be a network like 198.51.100.0/24", text)
		}
		list = append(list, p.Masked())
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("the node's own addresses: %w", err)
	}
	for _, a := range own {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, netip.PrefixFrom(p.Addr().Unmap().WithZone(""), p.Addr().BitLen()))
		}
	}
	return list, nil
}
