package media

// Crypto are the keys of a stream that is encrypted as RFC 3711 says. The zero
// value means that it is not.
type Crypto struct {
	Suite  string `json:"suite,omitempty"` // as in SDP (package srtp has the list)
	Local  Key    `json:"local,omitempty"` // of what we send
	Remote Key    `json:"remote,omitempty"`
}

// Key is the master key and salt of one direction, in base64 as SDP carries it
// (RFC 4568 §6.1). It is written as it is in JSON, which only the journal
// does, and never in a log.
type Key string

// String hides the key.
func (Key) String() string { return "[redacted]" }

// GoString hides the key.
func (k Key) GoString() string { return k.String() }

// Reveal returns the key for its purpose: SDP, and the cipher.
func (k Key) Reveal() string { return string(k) }
