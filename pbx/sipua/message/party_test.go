package message

import "testing"

func TestQuotedPairs(t *testing.T) {
	for came, want := range map[string]string{
		``: ``, `plain`: `plain`, `이바다`: `이바다`,
		`say \"hi\"`: `say "hi"`, `back\\slash`: `back\slash`, `\a`: `a`, `odd\`: `odd\`, `\\\"`: `\"`,
	} {
		if got := unescaped(came); got != want {
			t.Errorf("%q is read as %q, want %q", came, got, want)
		}
	}
	// What was read and is written again is the same text.
	if got, want := NameAddr(unescaped(`a \"b\" \\`), "sip:x"), `"a \"b\" \\" <sip:x>`; got != want {
		t.Errorf("written as %s, want %s", got, want)
	}
}
