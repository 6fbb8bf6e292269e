package journal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The layout of a frame.
const (
	magic     = "\xd1JR\x01"
	sumAt     = len(magic) + 4 // where the checksum stands
	bodyAt    = sumAt + 4
	saltSize  = 16
	countSize = 8
	tagSize   = 16
)

// The bounds of a record.
const (
	// MaxValue is the largest value, in bytes.
	MaxValue = 2 << 20
	maxName  = 255 // of kind and ID, each
	maxBody  = saltSize + countSize + tagSize + 1 + 2*(1+maxName) + MaxValue
)

// op is what a frame does to its key.
type op byte

const (
	put    op = 1
	remove op = 2
)

// key names a record.
type key struct{ kind, id string }

// checksum covers a frame's length and body.
func checksum(frame []byte) uint32 {
	t := crc32.MakeTable(crc32.Castagnoli) // cached by the package
	sum := crc32.Update(0, t, frame[len(magic):sumAt])
	return crc32.Update(sum, t, frame[bodyAt:])
}

// keyring makes the key of each process that wrote to the file.
type keyring struct {
	secret []byte
	opened map[[saltSize]byte]cipher.AEAD
}

func newKeyring(secret []byte) (*keyring, error) {
	if len(secret) < 32 {
		return nil, fmt.Errorf("the journal's key has %d bytes: it needs 32 random ones", len(secret))
	}
	return &keyring{secret: secret, opened: make(map[[saltSize]byte]cipher.AEAD)}, nil
}

func (k *keyring) of(salt [saltSize]byte) (cipher.AEAD, error) {
	if a, ok := k.opened[salt]; ok {
		return a, nil
	}
	derived, err := hkdf.Key(sha256.New, k.secret, salt[:], "dipcast journal v1", 32)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	k.opened[salt] = a
	return a, nil
}

// sealer makes the frames of this process. No two frames have the same count,
// and no two processes the same salt, so that no nonce is used twice.
type sealer struct {
	salt [saltSize]byte
	aead cipher.AEAD
}

// seal appends the frame to b.
func (s *sealer) seal(b []byte, count uint64, o op, k key, value []byte) []byte {
	start := len(b)
	b = append(b, magic...)
	plain := 3 + len(k.kind) + len(k.id) + len(value)
	b = binary.LittleEndian.AppendUint32(b, uint32(saltSize+countSize+plain+tagSize))
	b = append(b, 0, 0, 0, 0)
	b = append(b, s.salt[:]...)
	b = binary.LittleEndian.AppendUint64(b, count)
	text := len(b)
	b = append(b, byte(o), byte(len(k.kind)))
	b = append(b, k.kind...)
	b = append(b, byte(len(k.id)))
	b = append(b, k.id...)
	b = append(b, value...)
	var nonce [12]byte
	binary.LittleEndian.PutUint64(nonce[4:], count)
	b = s.aead.Seal(b[:text], nonce[:], b[text:], nil)
	frame := b[start:]
	binary.LittleEndian.PutUint32(frame[sumAt:], checksum(frame))
	return b
}

var (
	errTorn   = errors.New("the frame is not whole")
	errBroken = errors.New("the frame is damaged")
	errKey    = errors.New("the frame was sealed under another key")
)

// cut returns the frame that data begins with. errTorn means that more bytes
// would have to follow, errBroken that it is none.
func cut(data []byte) ([]byte, error) {
	if len(data) < bodyAt {
		return nil, errTorn
	}
	if string(data[:len(magic)]) != magic {
		return nil, errBroken
	}
	n := binary.LittleEndian.Uint32(data[len(magic):])
	if n < saltSize+countSize+tagSize+3 || n > maxBody {
		return nil, errBroken
	}
	if uint64(len(data)) < uint64(bodyAt)+uint64(n) {
		return nil, errTorn
	}
	frame := data[:bodyAt+int(n)]
	if binary.LittleEndian.Uint32(frame[sumAt:]) != checksum(frame) {
		return nil, errBroken
	}
	return frame, nil
}

// content is what a frame says.
type content struct {
	op    op
	key   key
	value []byte
}

// unseal reads a frame that cut returned.
func (k *keyring) unseal(frame []byte) (content, error) {
	body := frame[bodyAt:]
	aead, err := k.of([saltSize]byte(body))
	if err != nil {
		return content{}, err
	}
	var nonce [12]byte
	copy(nonce[4:], body[saltSize:saltSize+countSize])
	plain, err := aead.Open(nil, nonce[:], body[saltSize+countSize:], nil)
	if err != nil {
		return content{}, errKey
	}
	c := content{op: op(plain[0])}
	kind, rest, ok := text(plain[1:])
	id, value, ok2 := text(rest)
	if !ok || !ok2 || c.op != put && c.op != remove {
		return content{}, errBroken
	}
	c.key, c.value = key{kind, id}, value
	return c, nil
}

// text reads a text behind its length.
func text(b []byte) (s string, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", nil, false
	}
	return string(b[1 : 1+int(b[0])]), b[1+int(b[0]):], true
}

// place is where a frame lies in the file.
type place struct {
	at int64
	n  int
}

// findings is what a scan found.
type findings struct {
	index map[key]place
	end   int64 // behind the last whole frame
	bad   int   // damaged stretches that were passed over
	keys  int   // whole frames of another key
	torn  bool
}

// scan reads a file from its beginning. Damage is passed over to the next
// frame that is whole; nothing that it reads can make it fail.
func (k *keyring) scan(data []byte) findings {
	f := findings{index: make(map[key]place)}
	for at := 0; at < len(data); {
		frame, err := cut(data[at:])
		if err != nil {
			next := bytes.Index(data[at+1:], []byte(magic))
			if next < 0 {
				f.torn = true
				break
			}
			at += 1 + next
			f.bad++
			continue
		}
		switch c, err := k.unseal(frame); {
		case err != nil:
			f.keys++
		case c.op == remove:
			delete(f.index, c.key)
		default:
			f.index[c.key] = place{int64(at), len(frame)}
		}
		at += len(frame)
		f.end = int64(at)
	}
	return f
}
