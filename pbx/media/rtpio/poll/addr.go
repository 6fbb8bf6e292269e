package poll

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// Addr is an address as the kernel takes it (a sockaddr), made once for all
// packets that go there. The zero value is none.
type Addr struct {
	raw  [unix.SizeofSockaddrInet6]byte
	size uint32
}

// AddrOf returns the kernel's form of an address.
func AddrOf(a netip.AddrPort) (s Addr) {
	ip := a.Addr().Unmap()
	switch {
	case ip.Is4():
		s.size = unix.SizeofSockaddrInet4
		binary.NativeEndian.PutUint16(s.raw[:], unix.AF_INET)
		four := ip.As4()
		copy(s.raw[4:], four[:])
	case ip.Is6():
		s.size = unix.SizeofSockaddrInet6
		binary.NativeEndian.PutUint16(s.raw[:], unix.AF_INET6)
		sixteen := ip.As16()
		copy(s.raw[8:], sixteen[:])
		zone, _ := strconv.ParseUint(ip.Zone(), 10, 32) // 0 without one
		binary.NativeEndian.PutUint32(s.raw[24:], uint32(zone))
	default:
		return s
	}
	binary.BigEndian.PutUint16(s.raw[2:], a.Port())
	return s
}

// AddrPort is the other way round. It allocates for a link-local address only,
// whose zone is the number of its interface.
func (s *Addr) AddrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(s.raw[2:])
	switch binary.NativeEndian.Uint16(s.raw[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s.raw[4:8])), port)
	case unix.AF_INET6:
		ip := netip.AddrFrom16([16]byte(s.raw[8:24])).Unmap()
		if zone := binary.NativeEndian.Uint32(s.raw[24:]); zone != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(zone), 10))
		}
		return netip.AddrPortFrom(ip, port)
	}
	return netip.AddrPort{}
}
