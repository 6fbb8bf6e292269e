package srtp

import (
	"encoding/base64"
	"fmt"
	"slices"

	pion "github.com/pion/srtp/v3"

	"github.com/dipcast/dipcast/pbx/media"
)

// The suites that are served, by their names in SDP (RFC 4568 §6.2, RFC 7714
// §14.2), the best known first.
const (
	AES80 = "AES_CM_128_HMAC_SHA1_80"
	AES32 = "AES_CM_128_HMAC_SHA1_32"
	GCM   = "AEAD_AES_128_GCM"
)

// Overhead is the most octets by which a sealed RTP packet is longer.
const Overhead = 16

// KeySize is the size of key and salt of any suite in octets, at most.
const KeySize = 30

// suite is how a name is made.
type suite struct {
	profile   pion.ProtectionProfile
	key, salt int // octets
}

func suiteOf(name string) (suite, bool) {
	switch name {
	case AES80:
		return suite{pion.ProtectionProfileAes128CmHmacSha1_80, 16, 14}, true
	case AES32:
		return suite{pion.ProtectionProfileAes128CmHmacSha1_32, 16, 14}, true
	case GCM:
		return suite{pion.ProtectionProfileAeadAes128Gcm, 16, 12}, true
	}
	return suite{}, false
}

// Serves reports whether the suite is served and the key fits it.
func Serves(name string, key media.Key) bool {
	s, ok := suiteOf(name)
	if !ok {
		return false
	}
	_, err := s.split(key)
	return err == nil
}

// KeyFor makes a key for the suite of KeySize random octets; empty for a suite
// that is not served.
func KeyFor(name string, random []byte) media.Key {
	s, ok := suiteOf(name)
	if !ok || len(random) < s.key+s.salt {
		return ""
	}
	return media.Key(base64.StdEncoding.EncodeToString(random[:s.key+s.salt]))
}

// split decodes a key.
func (s suite) split(key media.Key) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(key.Reveal())
	if err != nil {
		return nil, fmt.Errorf("SRTP key: is no base64") // the decoder's own words would show a part of it
	}
	if len(raw) != s.key+s.salt {
		return nil, fmt.Errorf("SRTP key of %d octets: want %d", len(raw), s.key+s.salt)
	}
	return raw, nil
}

// context makes a cipher of a suite's name and a key.
func context(name string, key media.Key, options ...pion.ContextOption) (*pion.Context, error) {
	s, ok := suiteOf(name)
	if !ok {
		return nil, fmt.Errorf("SRTP suite %q: want %s, %s or %s", name, AES80, AES32, GCM)
	}
	raw, err := s.split(key)
	if err != nil {
		return nil, err
	}
	c, err := pion.CreateContext(raw[:s.key], raw[s.key:], s.profile, options...)
	if err != nil {
		return nil, fmt.Errorf("SRTP cipher %s: %w", name, err)
	}
	return c, nil
}

// Exported makes the keys of both sides of what their DTLS handshake exports
// (RFC 5764 §4.2). active: we began it. Errors: a suite that is not served,
// those of export.
func Exported(name string, active bool, export func(size int) ([]byte, error)) (media.Crypto, error) {
	s, ok := suiteOf(name)
	if !ok {
		return media.Crypto{}, fmt.Errorf("SRTP suite %q: want %s, %s or %s", name, AES80, AES32, GCM)
	}
	raw, err := export(2 * (s.key + s.salt))
	if err != nil {
		return media.Crypto{}, err
	}
	salts := raw[2*s.key:]
	client := KeyFor(name, slices.Concat(raw[:s.key], salts[:s.salt]))
	server := KeyFor(name, slices.Concat(raw[s.key:2*s.key], salts[s.salt:]))
	if active {
		return media.Crypto{Suite: name, Local: client, Remote: server}, nil
	}
	return media.Crypto{Suite: name, Local: server, Remote: client}, nil
}
