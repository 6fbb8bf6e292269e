// Package kernel drops packets of banned sources by nftables, through netlink.
// It owns one table of the kernel and touches nothing else; what it needs is
// CAP_NET_ADMIN in the network name space that it works on.
package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/dipcast/dipcast/pbx/nodeguard"
)

// Table is the name of our table, of family inet.
const Table = "dipcast-node-guard"

// size bounds each of the two sets.
const size = 16384

// Filter is our table. It is not for use by several goroutines.
type Filter struct {
	conn   *nftables.Conn
	table  *nftables.Table
	v4, v6 *nftables.Set
}

var _ nodeguard.Kernel = (*Filter)(nil)

// Open makes the table anew, with no source in it. netns is a file of the
// network name space; negative means that of this process.
func Open(netns int) (*Filter, error) {
	var options []nftables.ConnOption
	if netns >= 0 {
		options = append(options, nftables.WithNetNSFd(netns))
	}
	conn, err := nftables.New(options...)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	f := &Filter{conn: conn}
	if err := f.build(); err != nil {
		return nil, fmt.Errorf("nftables table %s: %w: this needs CAP_NET_ADMIN and a kernel with nf_tables", Table, err)
	}
	return f, nil
}

// build replaces the table in one step: at no moment is there half of it.
func (f *Filter) build() error {
	f.table = &nftables.Table{Name: Table, Family: nftables.TableFamilyINet}
	f.conn.AddTable(f.table) // so that there is one to delete
	f.conn.DelTable(f.table)
	f.table = f.conn.AddTable(f.table)
	var err error
	if f.v4, err = f.set("banned4", nftables.TypeIPAddr); err != nil {
		return err
	}
	if f.v6, err = f.set("banned6", nftables.TypeIP6Addr); err != nil {
		return err
	}
	accept := nftables.ChainPolicyAccept
	chain := f.conn.AddChain(&nftables.Chain{
		Name: "incoming", Table: f.table, Type: nftables.ChainTypeFilter, Policy: &accept,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw,
	})
	// IPv4: source at 12, its registers 8 and 9; IPv6: source at 8, a /64 of
	// it counts, its registers 8 to 12.
	f.conn.AddRule(&nftables.Rule{Table: f.table, Chain: chain, Exprs: drop(f.v4, syscall.AF_INET, 12, 4, nil)})
	f.conn.AddRule(&nftables.Rule{Table: f.table, Chain: chain, Exprs: drop(f.v6, syscall.AF_INET6, 8, 16, []expr.Any{
		&expr.Bitwise{
			SourceRegister: firstRegister, DestRegister: firstRegister, Len: 16, Xor: make([]byte, 16),
			Mask: []byte{255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0},
		},
	})})
	return f.conn.Flush()
}

func (f *Filter) set(name string, of nftables.SetDatatype) (*nftables.Set, error) {
	key, err := nftables.ConcatSetType(of, nftables.TypeInetService)
	if err != nil {
		return nil, err
	}
	s := &nftables.Set{
		Table: f.table, Name: name, KeyType: key, Concatenation: true, HasTimeout: true, Timeout: 5 * time.Minute, Size: size,
	}
	return s, f.conn.AddSet(s, nil)
}

// firstRegister is the first of the 4-byte registers (NFT_REG32_00).
const firstRegister = 8

// drop is a rule: packets of one family whose source and destination port are
// in the set. Only TCP and UDP have ports there.
func drop(s *nftables.Set, family byte, at, length uint32, mask []expr.Any) []expr.Any {
	list := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: []byte{syscall.IPPROTO_TCP}, ToData: []byte{syscall.IPPROTO_UDP}},
		&expr.Payload{DestRegister: firstRegister, Base: expr.PayloadBaseNetworkHeader, Offset: at, Len: length},
	}
	list = append(list, mask...)
	return append(list,
		&expr.Payload{DestRegister: firstRegister + length/4, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Lookup{SourceRegister: firstRegister, SetName: s.Name, SetID: s.ID},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	)
}

// Add implements nodeguard.Kernel.
func (f *Filter) Add(e nodeguard.Entry, d time.Duration) error {
	set, key := f.key(e)
	if err := f.conn.SetAddElements(set, []nftables.SetElement{{Key: key, Timeout: d}}); err != nil {
		return fmt.Errorf("ban %s: %w", e.Source, err)
	}
	if err := f.conn.Flush(); err != nil {
		return fmt.Errorf("ban %s: %w", e.Source, err)
	}
	return nil
}

// Remove implements nodeguard.Kernel.
func (f *Filter) Remove(list []nodeguard.Entry) error {
	var failed []error
	for _, e := range list { // one by one: what ended by itself would fail the others
		set, key := f.key(e)
		err := f.conn.SetDeleteElements(set, []nftables.SetElement{{Key: key}})
		if err == nil {
			err = f.conn.Flush()
		}
		if err != nil && !errors.Is(err, syscall.ENOENT) {
			failed = append(failed, fmt.Errorf("lift the ban of %s: %w", e.Source, err))
		}
	}
	return errors.Join(failed...)
}

// Close removes the table: nobody is left who could lift a ban.
func (f *Filter) Close() error {
	f.conn.DelTable(f.table)
	return f.conn.Flush()
}

// Banned lists what the kernel drops now.
func (f *Filter) Banned() ([]nodeguard.Entry, error) {
	var list []nodeguard.Entry
	for _, set := range []*nftables.Set{f.v4, f.v6} {
		elements, err := f.conn.GetSetElements(set)
		if err != nil {
			return nil, fmt.Errorf("read set %s: %w", set.Name, err)
		}
		for _, e := range elements {
			n := len(e.Key) - 4
			if source, ok := netip.AddrFromSlice(e.Key[:max(0, n)]); ok {
				list = append(list, nodeguard.Entry{Source: source, Port: binary.BigEndian.Uint16(e.Key[n:])})
			}
		}
	}
	return list, nil
}

// key is the source and, in four bytes, the port.
func (f *Filter) key(e nodeguard.Entry) (*nftables.Set, []byte) {
	set := f.v6
	if e.Source.Is4() {
		set = f.v4
	}
	key := append(e.Source.AsSlice(), 0, 0, 0, 0)
	binary.BigEndian.PutUint16(key[len(key)-4:], e.Port)
	return set, key
}
