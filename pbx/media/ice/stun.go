package ice

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // MESSAGE-INTEGRITY has no other (RFC 8489 §14.5)
	"encoding/binary"
	"hash"
	"hash/crc32"
	"net/netip"
)

// The parts of a STUN message that connectivity checks need (RFC 8489 §5, §14;
// RFC 8445 §16.1).
const (
	headerSize      = 20
	cookie          = 0x2112A442
	fingerprintMask = 0x5354554E

	bindingRequest = 0x0001
	bindingSuccess = 0x0101
	bindingError   = 0x0111

	attrUsername         = 0x0006
	attrIntegrity        = 0x0008
	attrErrorCode        = 0x0009
	attrUnknown          = 0x000A
	attrXORMappedAddress = 0x0020
	attrPriority         = 0x0024
	attrUseCandidate     = 0x0025
	attrFingerprint      = 0x8028
	attrControlled       = 0x8029

	integritySize, fingerprintSize = 4 + sha1.Size, 4 + 4
)

// Errors that a check can be answered with.
const (
	unknownAttribute = 420
	roleConflict     = 487
)

// Is reports whether a packet is of STUN, as far as its beginning tells
// (RFC 7983).
func Is(b []byte) bool {
	return len(b) >= headerSize && b[0] <= 3 && binary.BigEndian.Uint32(b[4:]) == cookie
}

// check is a request as it was read. What stands behind MESSAGE-INTEGRITY is
// nobody's word and is left out.
type check struct {
	raw        []byte
	username   []byte
	integrity  []byte
	signed     int // the octets before MESSAGE-INTEGRITY
	priority   uint32
	nominates  bool
	controlled bool
	unknown    uint16 // an attribute that must be understood and is not
}

// parse reads a Binding request that has MESSAGE-INTEGRITY and a right
// FINGERPRINT; false for everything else.
func parse(b []byte) (c check, ok bool) {
	if !Is(b) || binary.BigEndian.Uint16(b) != bindingRequest || len(b)-headerSize != int(binary.BigEndian.Uint16(b[2:])) {
		return c, false
	}
	c.raw = b
	for at := headerSize; at+4 <= len(b); {
		kind, size := binary.BigEndian.Uint16(b[at:]), int(binary.BigEndian.Uint16(b[at+2:]))
		end := at + 4 + size
		next := at + 4 + (size+3)&^3
		switch {
		case next > len(b):
			return c, false
		case kind == attrFingerprint:
			// The last one, always (RFC 8489 §14.7).
			good := size == 4 && end == len(b) && binary.BigEndian.Uint32(b[at+4:]) == crc32.ChecksumIEEE(b[:at])^fingerprintMask
			return c, good && c.integrity != nil
		case c.integrity != nil:
		default:
			if !c.take(kind, b[at+4:end], at) {
				return c, false
			}
		}
		at = next
	}
	return c, false
}

// take reads one attribute; false if it cannot be.
func (c *check) take(kind uint16, value []byte, at int) bool {
	switch kind {
	case attrUsername:
		c.username = value
	case attrPriority:
		if len(value) != 4 {
			return false
		}
		c.priority = binary.BigEndian.Uint32(value)
	case attrUseCandidate:
		c.nominates = true
	case attrControlled:
		c.controlled = true
	case attrIntegrity:
		c.integrity, c.signed = value, at
		return len(value) == sha1.Size
	default:
		if kind < 0x8000 {
			c.unknown = kind
		}
	}
	return true
}

// signer makes MESSAGE-INTEGRITY of one password. It has room for what would
// otherwise be allocated for each message.
type signer struct {
	mac  hash.Hash
	size [2]byte
	sum  [sha1.Size]byte
}

func newSigner(password string) *signer { return &signer{mac: hmac.New(sha1.New, []byte(password))} }

// signature is that of a message whose first octets are given: its length
// counts up to and with the attribute. It stays until the next call.
func (s *signer) signature(b []byte) []byte {
	binary.BigEndian.PutUint16(s.size[:], uint16(len(b)-headerSize+integritySize))
	s.mac.Reset()
	s.mac.Write(b[:2])
	s.mac.Write(s.size[:])
	s.mac.Write(b[4:])
	return s.mac.Sum(s.sum[:0])
}

// made reports whether the check was made by somebody who knows the password.
func (s *signer) made(c *check) bool { return hmac.Equal(s.signature(c.raw[:c.signed]), c.integrity) }

// begin writes the header of an answer to the check.
func (c *check) begin(b []byte, kind uint16) []byte {
	b = binary.BigEndian.AppendUint16(b[:0], kind)
	return append(append(b, 0, 0), c.raw[4:headerSize]...)
}

// mapped appends XOR-MAPPED-ADDRESS, where the check came from.
func mapped(b []byte, from netip.AddrPort) []byte {
	ip, family := from.Addr().Unmap(), byte(1)
	size := 8
	if ip.Is6() {
		family, size = 2, 20
	}
	b = binary.BigEndian.AppendUint16(b, attrXORMappedAddress)
	b = append(binary.BigEndian.AppendUint16(b, uint16(size)), 0, family)
	b = binary.BigEndian.AppendUint16(b, from.Port()^cookie>>16)
	all := ip.As16()
	raw := all[16-(size-4):]
	for i := range raw { // the cookie and the transaction's ID follow each other
		b = append(b, raw[i]^b[4+i])
	}
	return b
}

// failure appends ERROR-CODE and, for 420, what was not understood.
func failure(b []byte, code int, unknown uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, attrErrorCode)
	b = append(b, 0, 4, 0, 0, byte(code/100), byte(code%100))
	if code == unknownAttribute {
		b = binary.BigEndian.AppendUint16(b, attrUnknown)
		b = append(binary.BigEndian.AppendUint16(append(b, 0, 2), unknown), 0, 0)
	}
	return b
}

// sign ends a message with MESSAGE-INTEGRITY and FINGERPRINT.
func (s *signer) sign(b []byte) []byte {
	sum := s.signature(b)
	b = binary.BigEndian.AppendUint16(b, attrIntegrity)
	b = append(append(b, 0, sha1.Size), sum...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-headerSize+fingerprintSize))
	proof := crc32.ChecksumIEEE(b) ^ fingerprintMask
	b = binary.BigEndian.AppendUint16(b, attrFingerprint)
	return binary.BigEndian.AppendUint32(append(b, 0, 4), proof)
}
