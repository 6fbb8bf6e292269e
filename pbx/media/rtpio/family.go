package rtpio

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
)

// family is one of the two address families of a pool. One without a bind
// address is not served.
type family struct {
	bind      netip.Addr
	advertise netip.Addr
}

// families sorts the configured addresses by family.
func families(bind, advertise []netip.Addr) (f [2]family, err error) {
	for _, a := range bind {
		if err := put(&f[index(a)].bind, a, "bind"); err != nil {
			return f, err
		}
	}
	for _, a := range advertise {
		if a.IsUnspecified() {
			return f, fmt.Errorf("RTP advertise address %s: must be one that phones can reach", a)
		}
		if err := put(&f[index(a)].advertise, a, "advertise"); err != nil {
			return f, err
		}
	}
	if len(bind) == 0 {
		everywhere := [2]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
		for i := range f {
			if f[i].advertise.IsValid() || i == 0 && len(advertise) == 0 {
				f[i].bind = everywhere[i]
			}
		}
	}
	for i := range f {
		if f[i].bind.IsValid() && !f[i].advertise.IsValid() {
			f[i].advertise = f[i].bind
		}
	}
	return f, nil
}

func put(place *netip.Addr, a netip.Addr, what string) error {
	if !a.IsValid() {
		return fmt.Errorf("RTP %s address: is empty", what)
	}
	if place.IsValid() {
		return fmt.Errorf("RTP %s addresses %s and %s: give at most one of each family", what, *place, a)
	}
	*place = a.Unmap()
	return nil
}

func index(a netip.Addr) int {
	if a.Unmap().Is6() {
		return 1
	}
	return 0
}

// familyOf chooses the family for a peer.
func (p *Pool) familyOf(peer netip.Addr) (*family, error) {
	if !peer.IsValid() {
		for i := range p.families {
			if p.families[i].bind.IsValid() {
				return &p.families[i], nil
			}
		}
	}
	f := &p.families[index(peer)]
	if !f.bind.IsValid() {
		return nil, fmt.Errorf("media for %s: no address of that family is advertised: add one to the network's advertised addresses", peer)
	}
	return f, nil
}

// pair opens an RTP socket on an even port and an RTCP socket on the next.
func (f *family) pair(number uint16) (rtp, rtcp *poll.Socket, err error) {
	if rtp, err = f.listen(number); err != nil {
		return nil, nil, err
	}
	if rtcp, err = f.listen(number + 1); err != nil {
		_ = rtp.Close()
		return nil, nil, err
	}
	return rtp, rtcp, nil
}

// anyPair lets the kernel choose. It gives every other time an odd port, or an
// even one whose neighbour is taken.
func (f *family) anyPair() (rtp, rtcp *poll.Socket, err error) {
	for range 100 {
		if rtp, err = f.listen(0); err != nil {
			return nil, nil, err
		}
		if port := rtp.Local().Port(); port%2 == 0 {
			if rtcp, err = f.listen(port + 1); err == nil {
				return rtp, rtcp, nil
			}
		}
		_ = rtp.Close()
		if err != nil && !inUse(err) {
			return nil, nil, err
		}
	}
	return nil, nil, ErrNoPorts
}

func (f *family) listen(number uint16) (*poll.Socket, error) {
	s, err := poll.Listen(netip.AddrPortFrom(f.bind, number))
	if err != nil {
		return nil, fmt.Errorf("RTP socket: %w", err)
	}
	return s, nil
}

func inUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
