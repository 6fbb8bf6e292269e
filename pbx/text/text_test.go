package text

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

var placeholder = regexp.MustCompile(`\{\d+\}`)

// TestCatalogue holds every language against English: the same keys, the
// same placeholders, nothing empty, labels that fit on a button.
func TestCatalogue(t *testing.T) {
	for set, langs := range map[string][]Lang{"cards": Cards(), "pages": Pages()} {
		want, err := read(set, English)
		if err != nil {
			t.Fatal(err)
		}
		for _, lang := range langs {
			got, err := read(set, lang)
			if err != nil {
				t.Fatal(err)
			}
			for key, english := range want {
				entry, ok := got[key]
				if !ok {
					t.Errorf("%s.%s lacks %q", set, lang, key)
					continue
				}
				compare(t, lang, key, entry, english)
			}
			for key := range got {
				if _, ok := want[key]; !ok {
					t.Errorf("%s.%s has %q, which English lacks", set, lang, key)
				}
			}
		}
	}
}

func compare(t *testing.T, lang Lang, key, entry, english string) {
	t.Helper()
	if strings.TrimSpace(entry) == "" || entry != strings.TrimSpace(entry) {
		t.Errorf("%s %q is %q: empty or with spaces around it", lang, key, entry)
	}
	a, b := placeholder.FindAllString(entry, -1), placeholder.FindAllString(english, -1)
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		t.Errorf("%s %q has the placeholders %v, English has %v", lang, key, a, b)
	}
	if n := len(utf16.Encode([]rune(entry))); strings.HasPrefix(key, "button.") && n > 20 {
		t.Errorf("%s %q has %d UTF-16 units, a button's label may have 20", lang, key, n)
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct {
		lang Lang
		key  string
		args []string
		want string
	}{
		{Korean, "button.callback", nil, "M2C 발신 하기"},
		{Japanese, "button.callback", nil, "M2C発信"},
		{Japanese, "page.history.title", nil, "Call history"}, // pages have no Japanese
		{English, "card.external", []string{"{1}", "101"}, "External call {1} → 101"},
		{English, "no.such.key", []string{"x"}, "no.such.key"},
		{Lang("fr"), "button.web", nil, "DIPCAST WEB"},
	} {
		if got := Text(tt.lang, tt.key, tt.args...); got != tt.want {
			t.Errorf("Text(%s, %s, %v) = %q, want %q", tt.lang, tt.key, tt.args, got, tt.want)
		}
	}
	if Has(Japanese, "page.history.title") || !Has(Korean, "page.history.title") {
		t.Error("Has must tell of the language itself")
	}
}

func TestMatch(t *testing.T) {
	for locale, want := range map[string]Lang{
		"ko-KR": Korean, "KO": Korean, "ko_KR": Korean, "ja-JP": Japanese, "en-US": English, "de": English, "": English, "kok-IN": English,
	} {
		if got := Match(locale); got != want {
			t.Errorf("Match(%q) = %s, want %s", locale, got, want)
		}
	}
	for lang, want := range map[Lang]string{Korean: "ko_KR", Japanese: "ja_JP", English: "en_US"} {
		if got := lang.WorksCode(); got != want {
			t.Errorf("%s.WorksCode() = %s, want %s", lang, got, want)
		}
	}
}
