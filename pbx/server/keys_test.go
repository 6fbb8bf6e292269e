package server

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeysAreMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	first, err := loadKeys(dir, "", "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := loadKeys(dir, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if first.apiToken != again.apiToken || !bytes.Equal(first.session, again.session) || !bytes.Equal(first.tokens, again.tokens) {
		t.Error("the keys changed over a restart")
	}
	if len(first.apiToken) < minKey || bytes.Equal(first.session, first.tokens) || strings.Contains(first.apiToken, string(first.session)) {
		t.Errorf("keys %d %x %x must be long and different", len(first.apiToken), first.session, first.tokens)
	}
	other, err := loadKeys(t.TempDir(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if other.apiToken == first.apiToken || bytes.Equal(other.tokens, first.tokens) {
		t.Error("two tenants have the same keys")
	}
	for _, name := range []string{"api-token", "session-key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, info.Mode())
		}
	}
}

func TestKeysOfTheDocumentWin(t *testing.T) {
	dir := t.TempDir()
	k, err := loadKeys(dir, "the-token-of-the-document", "the-session-key-of-the-document")
	if err != nil {
		t.Fatal(err)
	}
	if k.apiToken != "the-token-of-the-document" {
		t.Errorf("token %q", k.apiToken)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 || entries[0].Name() != "journal-key" {
		t.Errorf("files were made although the document has the keys: %v %v", entries, err)
	}
}

func TestADamagedKeyIsToldAndNotReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "session-key")
	if err := os.WriteFile(path, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := loadKeys(dir, "", "")
	if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "short") {
		t.Errorf("error %v must name the file and not its content", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "short\n" {
		t.Errorf("the file was changed to %q", text)
	}
}

func TestRotatedKeysAreInForceAtOnce(t *testing.T) {
	kept := keys{apiToken: "kept-token", session: derive("kept-session-key", forSessions)}
	d := sample()
	if c, err := webConfig(d, kept); err != nil || c.APIToken != "kept-token" || !bytes.Equal(c.SessionKey, kept.session) {
		t.Errorf("without keys in the document: %q %x", c.APIToken, c.SessionKey)
	}
	d.Web.APIToken, d.Web.SessionKey = "new-token", "a-new-session-key-of-the-document"
	if c, err := webConfig(d, kept); err != nil || c.APIToken != "new-token" || bytes.Equal(c.SessionKey, kept.session) {
		t.Errorf("the document's keys are not taken: %q %x", c.APIToken, c.SessionKey)
	}
}
