package text

import (
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Lang is a language of the catalogue.
type Lang string

// The languages of the catalogue.
const (
	Korean   Lang = "ko"
	English  Lang = "en"
	Japanese Lang = "ja"
)

// Cards lists the languages in which cards and answers are written; Pages
// those of the console.
func Cards() []Lang { return []Lang{Korean, English, Japanese} }

// Pages lists the languages of the console.
func Pages() []Lang { return []Lang{Korean, English} }

// Match returns the language of a BCP 47 locale ("ko-KR"), English for every
// locale that the catalogue does not have.
func Match(locale string) Lang {
	primary, _, _ := strings.Cut(strings.ReplaceAll(locale, "_", "-"), "-")
	switch strings.ToLower(primary) {
	case string(Korean):
		return Korean
	case string(Japanese):
		return Japanese
	default:
		return English
	}
}

// WorksCode returns the language code of NAVER WORKS i18n fields ("ko_KR").
func (l Lang) WorksCode() string {
	switch l {
	case Korean:
		return "ko_KR"
	case Japanese:
		return "ja_JP"
	default:
		return "en_US"
	}
}

//go:embed catalogue/*.json
var files embed.FS

// load parses the embedded files once. They are part of the program and read
// by the package's own test, so that a fault in them is a fault of the build.
var load = sync.OnceValue(func() map[Lang]map[string]string {
	all := map[Lang]map[string]string{}
	for _, set := range []struct {
		name  string
		langs []Lang
	}{{"cards", Cards()}, {"pages", Pages()}} {
		for _, lang := range set.langs {
			entries, err := read(set.name, lang)
			if err != nil {
				continue
			}
			if all[lang] == nil {
				all[lang] = map[string]string{}
			}
			for k, v := range entries {
				all[lang][k] = v
			}
		}
	}
	return all
})

func read(set string, lang Lang) (map[string]string, error) {
	name := "catalogue/" + set + "." + string(lang) + ".json"
	b, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var entries map[string]string
	if err := json.Unmarshal(b, &entries); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return entries, nil
}

// Text returns the text of key with {0}, {1}… replaced by args. A key that
// the language lacks is taken from English; one that is nowhere yields the
// key itself. Arguments are put in as they are: a "{1}" inside an argument
// stays what it is.
func Text(lang Lang, key string, args ...string) string {
	entry, ok := load()[lang][key]
	if !ok {
		entry, ok = load()[English][key]
	}
	if !ok {
		return key
	}
	if len(args) == 0 {
		return entry
	}
	pairs := make([]string, 0, 2*len(args))
	for i, a := range args {
		pairs = append(pairs, "{"+strconv.Itoa(i)+"}", a)
	}
	return strings.NewReplacer(pairs...).Replace(entry)
}

// Has reports whether the language itself has the key.
func Has(lang Lang, key string) bool {
	_, ok := load()[lang][key]
	return ok
}
