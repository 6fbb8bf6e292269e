//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/phone"
)

const (
	// Addresses of the internet: private ones are never banned.
	guesser   = "198.51.100.7"
	bystander = "198.51.100.8"
	// guesses are so many that a source is banned for them.
	guesses   = 24
	onlyAdmin = "0000000000001000" // CAP_NET_ADMIN
)

// Who guesses passwords is dropped by the kernel of the PBX's node once the chart
// runs its helper there: in no other port, on no other node, and nobody else.
func TestTheKernelDropsWhoGuesses(t *testing.T) {
	if !the.full {
		t.Skip("half a minute: E2E=short leaves it out")
	}
	the.installed(t)
	for _, a := range []string{guesser, bystander} {
		outside(t, a)
	}
	t.Cleanup(func() {
		if _, err := the.chart(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		for _, node := range []string{"n1", "n2"} {
			if table, err := guardTable(context.WithoutCancel(t.Context()), node); err == nil {
				t.Errorf("the helper is gone, and its table on %s is not: %s", node, table)
			}
		}
	})
	if _, err := the.chart(within(t), "nodeGuard.enabled=true", "nodeGuard.ports[0].from=10000", "nodeGuard.ports[0].to=14999"); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "-n", system, "rollout", "status", "daemonset/dipcast-node-guard", "--timeout=60s")
	leastRights(t)

	c := found(t, plan{name: "guarded"})
	c.ready()
	node, at := c.pod().Spec.NodeName, c.sip()
	for n := range guesses {
		c.guess(fmt.Sprint(900 + n))
	}
	_, port, _ := net.SplitHostPort(at)
	banned := regexp.MustCompile(regexp.QuoteMeta(guesser) + ` \. ` + port)
	until(t, patience, "the kernel of "+node+" knows "+guesser, func(ctx context.Context) string {
		table, err := guardTable(ctx, node)
		if err != nil {
			return err.Error()
		}
		if !banned.MatchString(table) {
			c.guess("999")
			return "its table is: " + table
		}
		return ""
	})
	before := dropped(t, node)
	c.guess("999")
	if now := dropped(t, node); now <= before {
		t.Errorf("the kernel has dropped %d packets, and %d before one more was sent", now, before)
	}

	if table, err := guardTable(within(t), otherNode(node)); err != nil || strings.Contains(table, guesser) {
		t.Errorf("the other node: %v, %s", err, table)
	}
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(guesser)}}
	if conn, err := from.DialContext(within(t), "tcp", c.admin()); err != nil {
		t.Errorf("another port of the node is shut, too: %v", err)
	} else if err := conn.Close(); err != nil {
		t.Error(err)
	}
	other := c.phoneAt(bystander, "102", c.password("102"))
	if err := other.Register(within(t), time.Hour); err != nil {
		t.Errorf("somebody else of the same network is shut out: %v", err)
	}
	c.talk(c.desk("101"), "025550101").end()
}

// outside gives the outside world one more address, until the test ends.
func outside(t *testing.T, address string) {
	t.Helper()
	if _, err := run(within(t), "", "ip", "address", "replace", address+"/32", "dev", "br0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := run(context.WithoutCancel(t.Context()), "", "ip", "address", "del", address+"/32", "dev", "br0"); err != nil {
			t.Error(err)
		}
	})
}

func (c *company) phoneAt(address, user, password string) *phone.Phone {
	c.t.Helper()
	return newPhone(c.t, phone.Config{
		User: user, Password: password, Domain: c.name + ".pbx.example.com", Server: c.sip(), Listen: address + ":0", NoRefresh: true,
	})
}

// guess tries to log in with a wrong password; whether an answer comes is the
// PBX's affair.
func (c *company) guess(user string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
	defer cancel()
	if err := c.phoneAt(guesser, user, "guessed").Register(ctx, time.Hour); err == nil {
		c.t.Errorf("user %s is logged in with a guessed password", user)
	}
}

// guardTable is what the helper of a node has in the kernel.
func guardTable(ctx context.Context, node string) (string, error) {
	return run(ctx, "", "nsenter", "--net=/run/netns/dipcast-"+node, "nft", "list", "table", "inet", "dipcast-node-guard")
}

// dropped counts the packets that the kernel of a node has dropped.
func dropped(t *testing.T, node string) (n int) {
	t.Helper()
	table, err := guardTable(within(t), node)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`counter packets (\d+)`).FindAllStringSubmatch(table, -1) {
		var one int
		if _, err := fmt.Sscan(m[1], &one); err != nil {
			t.Fatal(err)
		}
		n += one
	}
	return n
}

// leastRights looks at the helpers as the kernel sees them: one on each node,
// with one capability.
func leastRights(t *testing.T) {
	t.Helper()
	found := 0
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		line, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(line), "\x00node-guard\x00") {
			continue
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(file), "status"))
		if err != nil {
			t.Fatal(err)
		}
		found++
		for _, kind := range []string{"CapPrm", "CapEff", "CapBnd"} {
			if !strings.Contains(string(status), kind+":\t"+onlyAdmin+"\n") {
				t.Errorf("%s of a helper is not CAP_NET_ADMIN alone: %s", kind, status)
			}
		}
		if !strings.Contains(string(status), "NoNewPrivs:\t1\n") {
			t.Error("a helper may gain privileges")
		}
	}
	if found != 2 {
		t.Errorf("%d helpers run on two nodes", found)
	}
}
