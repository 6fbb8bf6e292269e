// Package ports opens the pairs of sockets that RTP and RTCP come to: on which
// addresses, and on which numbers. A Stock draws numbers at random and lets
// those that were used rest; a Shelf keeps pairs open for the next calls while
// many begin and end. Both belong to whoever locks them.
package ports

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
)

// Family is one of the two address families of a pool. One without a bind
// address is not served.
type Family struct {
	Bind      netip.Addr
	Advertise netip.Addr
}

// Families sorts the configured addresses by family.
func Families(bind, advertise []netip.Addr) (f [2]Family, err error) {
	for _, a := range bind {
		if err := put(&f[Index(a)].Bind, a, "bind"); err != nil {
			return f, err
		}
	}
	for _, a := range advertise {
		if a.IsUnspecified() {
			return f, fmt.Errorf("RTP advertise address %s: must be one that phones can reach", a)
		}
		if err := put(&f[Index(a)].Advertise, a, "advertise"); err != nil {
			return f, err
		}
	}
	if len(bind) == 0 {
		everywhere := [2]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
		for i := range f {
			if f[i].Advertise.IsValid() || i == 0 && len(advertise) == 0 {
				f[i].Bind = everywhere[i]
			}
		}
	}
	for i := range f {
		if f[i].Bind.IsValid() && !f[i].Advertise.IsValid() {
			f[i].Advertise = f[i].Bind
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

// Index is 0 for IPv4, 1 for IPv6.
func Index(a netip.Addr) int {
	if a.Unmap().Is6() {
		return 1
	}
	return 0
}

// Pair opens an RTP socket on an even port and an RTCP socket on the next.
func (f *Family) Pair(number uint16) (*Pair, error) {
	rtp, err := f.Listen(number)
	if err != nil {
		return nil, err
	}
	rtcp, err := f.Listen(number + 1)
	if err != nil {
		_ = rtp.Close()
		return nil, err
	}
	return &Pair{RTP: rtp, RTCP: rtcp, family: f}, nil
}

// ErrNone means that every port is in use.
var ErrNone = errors.New("no RTP ports left: enlarge the range of RTP ports or lower the limit of concurrent calls")

// AnyPair lets the kernel choose. It gives every other time an odd port, or an
// even one whose neighbour is taken.
func (f *Family) AnyPair() (*Pair, error) {
	for range 100 {
		rtp, err := f.Listen(0)
		if err != nil {
			return nil, err
		}
		if port := rtp.Local().Port(); port%2 == 0 {
			var rtcp *poll.Socket
			if rtcp, err = f.Listen(port + 1); err == nil {
				return &Pair{RTP: rtp, RTCP: rtcp, family: f}, nil
			}
		}
		_ = rtp.Close()
		if err != nil && !InUse(err) {
			return nil, err
		}
	}
	return nil, ErrNone
}

// Listen opens one socket; 0 lets the kernel choose.
func (f *Family) Listen(number uint16) (*poll.Socket, error) {
	s, err := poll.Listen(netip.AddrPortFrom(f.Bind, number))
	if err != nil {
		return nil, fmt.Errorf("RTP socket: %w", err)
	}
	return s, nil
}

// InUse reports whether an error says that a port is taken.
func InUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
