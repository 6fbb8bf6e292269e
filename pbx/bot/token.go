package bot

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// Action is what a button does.
type Action byte

// The actions of buttons. Their values are inside sent cards: never reuse one.
const (
	Desk      Action = 1 // pull to the presser's own phones
	Mobile    Action = 2 // pull to the presser's mobile
	Assistant Action = 3 // pull to the A.I. assistant
	CallBack  Action = 4 // M2C
)

func (a Action) String() string {
	switch a {
	case Desk:
		return "desk"
	case Mobile:
		return "mobile"
	case Assistant:
		return "assistant"
	case CallBack:
		return "callback"
	default:
		return "unknown"
	}
}

func (a Action) pullTo() pbx.PullTo {
	switch a {
	case Mobile:
		return pbx.ToMobile
	case Assistant:
		return pbx.ToAssistant
	default:
		return pbx.ToDesk
	}
}

// The layout of a sealed token: version, random ID, action, time of issue in
// Unix seconds, hash of the user, then three texts with their length.
const (
	tokenVersion = 1
	tokenPrefix  = "d1."
	tokenFixed   = 1 + 16 + 1 + 8 + 16
	maxCallID    = 64
	maxNumber    = 32
)

// token is what a button stands for.
type token struct {
	ID        [16]byte // of this very button
	Action    Action
	Issued    time.Time // whole seconds
	User      [16]byte  // userHash of who the card was sent to
	Call      pbx.CallID
	Extension string // of who the card was sent to
	Number    string // whom CallBack calls
}

var errToken = errors.New("the button's token is not one of ours")

// userHash is how a token names a user: long enough that no two users of a
// company are alike, short enough for the limit of a token.
func userHash(user string) [16]byte {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(user))))
	return [16]byte(sum[:16])
}

// sealer makes and opens tokens of one tenant.
type sealer struct {
	aead cipher.AEAD
	rand io.Reader
}

// newSealer derives the tenant's own key, so that a token of one tenant is
// noise to another even if they share the key they were given.
func newSealer(key []byte, tenant string, random io.Reader) (*sealer, error) {
	if len(key) < 32 {
		return nil, fmt.Errorf("the bot's token key has %d bytes: it needs 32 random ones", len(key))
	}
	k, err := hkdf.Key(sha256.New, key, nil, "dipcast bot button v1 "+tenant, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead: aead, rand: random}, nil
}

// seal returns the text of a new button, at most 300 bytes. It fills in ID.
func (s *sealer) seal(t token) (string, error) {
	if len(t.Call) > maxCallID || len(t.Extension) > maxNumber || len(t.Number) > maxNumber {
		return "", fmt.Errorf("a button for call %q, extension %q and number %q would be too long", t.Call, t.Extension, t.Number)
	}
	if _, err := io.ReadFull(s.rand, t.ID[:]); err != nil {
		return "", fmt.Errorf("randomness for a button: %w", err)
	}
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+tokenFixed+maxCallID+2*maxNumber+3+s.aead.Overhead())
	if _, err := io.ReadFull(s.rand, nonce); err != nil {
		return "", fmt.Errorf("randomness for a button: %w", err)
	}
	plain := make([]byte, 0, tokenFixed+maxCallID+2*maxNumber+3)
	plain = append(plain, tokenVersion)
	plain = append(plain, t.ID[:]...)
	plain = append(plain, byte(t.Action))
	plain = binary.BigEndian.AppendUint64(plain, uint64(t.Issued.Unix()))
	plain = append(plain, t.User[:]...)
	for _, text := range []string{string(t.Call), t.Extension, t.Number} {
		plain = append(plain, byte(len(text)))
		plain = append(plain, text...)
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, plain, []byte(tokenPrefix))), nil
}

// open returns what a button stands for, errToken for everything that this
// tenant did not seal.
func (s *sealer) open(text string) (token, error) {
	body, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok || len(text) > 300 {
		return token{}, errToken
	}
	sealed, err := base64.RawURLEncoding.DecodeString(body)
	// Exactly one text stands for a token: the decoder would pass over line
	// breaks and idle bits.
	if err != nil || len(sealed) < s.aead.NonceSize() || base64.RawURLEncoding.EncodeToString(sealed) != body {
		return token{}, errToken
	}
	nonce, box := sealed[:s.aead.NonceSize()], sealed[s.aead.NonceSize():]
	plain, err := s.aead.Open(nil, nonce, box, []byte(tokenPrefix))
	if err != nil || len(plain) < tokenFixed || plain[0] != tokenVersion {
		return token{}, errToken
	}
	t := token{
		ID:     [16]byte(plain[1:17]),
		Action: Action(plain[17]),
		Issued: time.Unix(int64(binary.BigEndian.Uint64(plain[18:26])), 0),
		User:   [16]byte(plain[26:42]),
	}
	var call string
	rest := plain[tokenFixed:]
	for _, into := range []*string{&call, &t.Extension, &t.Number} {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			return token{}, errToken
		}
		*into, rest = string(rest[1:1+int(rest[0])]), rest[1+int(rest[0]):]
	}
	t.Call = pbx.CallID(call)
	return t, nil
}
