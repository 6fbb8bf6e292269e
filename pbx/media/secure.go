package media

// DTLS says that a stream's keys come of a handshake on the media path
// (RFC 5763, RFC 5764). The zero value means that they do not. Another value
// asks for a new handshake.
type DTLS struct {
	// Own and Peer are the fingerprints of both certificates as SDP tells them
	// (RFC 8122 §5), the hash in lower case, its value in upper case:
	// "sha-256 4A:AD:B9:…".
	Own  string `json:"own"`
	Peer string `json:"peer"`
	// Active: we begin the handshake; otherwise the peer does.
	Active bool `json:"active,omitempty"`
}

// ICE are the credentials of a stream's connectivity checks, which the peer
// makes and we answer (RFC 8445 §2.5, lite). The zero value means that there
// are none. Another value makes the port forget the sources it has validated.
type ICE struct {
	Local  ICECredentials `json:"local"`
	Remote ICECredentials `json:"remote"`
}

// ICECredentials are what one side has told of itself (RFC 8839 §5.4).
type ICECredentials struct {
	Ufrag    string `json:"ufrag"`
	Password Key    `json:"password"`
}
