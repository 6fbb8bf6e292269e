package signin

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// SessionLife is how long a sign-in lasts.
const SessionLife = 12 * time.Hour

// stateLife is how long the way to the provider and back may take.
const stateLife = 10 * time.Minute

// maxCookie bounds what is read: browsers keep no more for one cookie.
const maxCookie = 4096

var errCookie = errors.New("the cookie is missing, altered or out of date")

// Identity is a person as the provider names them.
type Identity struct {
	ID    string `json:"i"` // member's resource ID
	Email string `json:"e,omitempty"`
	Name  string `json:"n,omitempty"`
}

// Session is a signed-in person.
type Session struct {
	Identity
	Expires int64  `json:"x"` // Unix seconds
	Nonce   string `json:"r"` // makes two sessions of one person differ
}

// jar signs values for one purpose of one tenant.
type jar struct {
	key    []byte
	name   string
	secure bool
	life   time.Duration
}

// newJar derives its key, so that neither a cookie of another tenant nor one
// of another purpose is taken for its own. The cookie's name tells tenants on
// one host but different ports apart, where browsers do not.
func newJar(key []byte, tenant, purpose string, secure bool, life time.Duration) (*jar, error) {
	if len(key) < 32 {
		return nil, fmt.Errorf("the session key has %d bytes: it needs 32 random ones", len(key))
	}
	k, err := hkdf.Key(sha256.New, key, nil, "dipcast web "+purpose+" v1 "+tenant, 32)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(tenant))
	name := "dipcast-" + purpose + "-" + hex.EncodeToString(sum[:4])
	if secure {
		name = "__Host-" + name
	}
	return &jar{key: k, name: name, secure: secure, life: life}, nil
}

func (j *jar) mac(body string) []byte {
	m := hmac.New(sha256.New, j.key)
	m.Write([]byte(body))
	return m.Sum(nil)
}

// set writes the value as a cookie; nil takes the cookie away.
func (j *jar) set(w http.ResponseWriter, v any) error {
	c := &http.Cookie{Name: j.name, Path: "/", HttpOnly: true, Secure: j.secure, SameSite: http.SameSiteLaxMode, MaxAge: -1} //nolint:gosec // Secure wherever the console is https; plain http is for loopback alone
	if v != nil {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		body := base64.RawURLEncoding.EncodeToString(b)
		c.Value = body + "." + base64.RawURLEncoding.EncodeToString(j.mac(body))
		c.MaxAge = int(j.life / time.Second)
	}
	http.SetCookie(w, c)
	return nil
}

// get reads the cookie into v, errCookie if it is not one that set wrote.
func (j *jar) get(r *http.Request, v any) error {
	c, err := r.Cookie(j.name)
	if err != nil || len(c.Value) > maxCookie {
		return errCookie
	}
	body, sig, ok := strings.Cut(c.Value, ".")
	if !ok {
		return errCookie
	}
	mac, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil || !hmac.Equal(mac, j.mac(body)) {
		return errCookie
	}
	b, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || json.Unmarshal(b, v) != nil {
		return errCookie
	}
	return nil
}
