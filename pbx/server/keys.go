package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// minKey is how many characters a kept secret has at least; shorter ones are
// a damaged or hand-made file.
const minKey = 32

// keptSecret returns the secret in the file, making a random one the first
// time. The file is readable by its owner alone.
func keptSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		secret := strings.TrimSpace(string(text))
		if len(secret) < minKey {
			return "", fmt.Errorf("%s: %d characters: must be at least %d; delete the file to have a new one made",
				path, len(secret), minKey)
		}
		return secret, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	raw := make([]byte, minKey)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	secret := base64.RawURLEncoding.EncodeToString(raw)
	// Written aside and renamed, so that a crash leaves no half of a secret.
	aside := path + ".new"
	if err := os.WriteFile(aside, []byte(secret+"\n"), 0o600); err != nil {
		return "", err
	}
	return secret, os.Rename(aside, path)
}

// keys are the secrets that the PBX keeps in its data folder unless the
// document carries them.
type keys struct {
	apiToken string
	session  []byte // signs the console's cookies
	tokens   []byte // seals the tokens of the bot's buttons
	journal  []byte // seals the journal of live calls
}

func loadKeys(dir, apiToken, sessionKey string) (keys, error) {
	var err error
	if apiToken == "" {
		if apiToken, err = keptSecret(filepath.Join(dir, "api-token")); err != nil {
			return keys{}, err
		}
	}
	if sessionKey == "" {
		if sessionKey, err = keptSecret(filepath.Join(dir, "session-key")); err != nil {
			return keys{}, err
		}
	}
	// A key of its own: what is in the journal must be read by a process with
	// another document.
	journalKey, err := keptSecret(filepath.Join(dir, "journal-key"))
	if err != nil {
		return keys{}, err
	}
	return keys{
		apiToken: apiToken,
		session:  derive(sessionKey, forSessions),
		tokens:   derive(sessionKey, forButtons),
		journal:  derive(journalKey, forJournal),
	}, nil
}

// The purposes that keys are derived for.
const (
	forSessions = "console sessions"
	forButtons  = "bot buttons"
	forJournal  = "journal of live calls"
)

// derive makes a key for one purpose, so that no two uses share one.
func derive(secret, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}
