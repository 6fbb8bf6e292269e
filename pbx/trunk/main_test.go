package trunk

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/conf"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errSilent = errors.New("no answer")

// carrier is a Transport whose hosts do what the test says.
type carrier struct {
	mu        sync.Mutex
	registers []RegisterRequest
	options   map[string]int
	lookups   int
	dead      map[string]bool // hosts that answer nothing
	names     map[string][]netip.AddrPort
	answer    func(RegisterRequest) (RegisterResult, error)
}

func newCarrier() *carrier {
	return &carrier{options: map[string]int{}, dead: map[string]bool{}, names: map[string][]netip.AddrPort{}}
}

func (c *carrier) Register(ctx context.Context, r RegisterRequest) (RegisterResult, error) {
	c.mu.Lock()
	c.registers = append(c.registers, r)
	dead, answer := c.dead[r.Host.Host], c.answer
	c.mu.Unlock()
	if dead {
		<-ctx.Done()
		return RegisterResult{}, ctx.Err()
	}
	if answer != nil {
		return answer(r)
	}
	return RegisterResult{Status: 200, Reason: "OK", Expires: r.Expires, CSeq: r.CSeq + 1}, nil
}

func (c *carrier) Options(ctx context.Context, _ conf.Trunk, h conf.TrunkHost) error {
	c.mu.Lock()
	c.options[h.Host]++
	dead := c.dead[h.Host]
	c.mu.Unlock()
	if dead {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (c *carrier) Lookup(_ context.Context, h conf.TrunkHost) ([]netip.AddrPort, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookups++
	if a, ok := c.names[h.Host]; ok {
		return a, nil
	}
	return nil, errSilent
}

func (c *carrier) setDead(host string, dead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead[host] = dead
}

func (c *carrier) setAnswer(f func(RegisterRequest) (RegisterResult, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = f
}

func (c *carrier) setAddrs(host string, addrs ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names[host] = nil
	for _, a := range addrs {
		c.names[host] = append(c.names[host], netip.MustParseAddrPort(a))
	}
}

// sent returns the REGISTER requests so far and forgets them.
func (c *carrier) sent() []RegisterRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.registers
	c.registers = nil
	return out
}

func hostsOf(names ...string) []conf.TrunkHost {
	var out []conf.TrunkHost
	for _, n := range names {
		out = append(out, conf.TrunkHost{Host: n, Port: 5060, Transport: "UDP"})
	}
	return out
}

func registering(hosts ...string) conf.Trunk {
	return conf.Trunk{Name: "line", Hosts: hostsOf(hosts...), Register: true, Username: "u", Password: "p"}
}
