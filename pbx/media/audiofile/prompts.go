package audiofile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// Prompt names something that callers hear.
type Prompt string

// The prompts of the system.
const (
	Ringback    Prompt = "ringback"    // the other side rings; endless
	Confirm     Prompt = "confirm"     // press 1 to take the call; repeated
	Hold        Prompt = "hold"        // the other side holds; endless
	Busy        Prompt = "busy"        // the other side talks; repeated
	Unavailable Prompt = "unavailable" // the other side cannot be reached; repeated
)

// All lists the prompts.
func All() []Prompt { return []Prompt{Ringback, Confirm, Hold, Busy, Unavailable} }

// Prompts holds the recorded prompts of one locale; what is not recorded is a
// tone. The zero value has only tones of no particular country. It is
// immutable.
type Prompts struct {
	country string
	sounds  map[Prompt]*Sound
}

// LoadPrompts reads DIR/LOCALE/NAME.wav for each prompt ("ko-KR/confirm.wav"); a
// missing file is no error, an unreadable or wrong one is, and the prompts are
// then still usable: the tone stands in. An empty dir reads nothing. The
// locale's region chooses the tones.
func LoadPrompts(dir, locale string) (*Prompts, error) {
	p := &Prompts{country: region(locale), sounds: map[Prompt]*Sound{}}
	if dir == "" {
		return p, nil
	}
	if !filepath.IsLocal(locale) {
		return p, fmt.Errorf("prompts in %s: locale %q: must be a plain name like \"ko-KR\"", dir, locale)
	}
	var problems []error
	for _, name := range All() {
		s, err := readPrompt(filepath.Join(dir, locale, string(name)+".wav"))
		switch {
		case err != nil:
			problems = append(problems, err)
		case s != nil:
			p.sounds[name] = s
		}
	}
	return p, errors.Join(problems...)
}

func readPrompt(path string) (*Sound, error) {
	s, err := Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return s, err
}

// Source returns a new source for the prompt. All of them repeat: who plays
// one stops it. An unknown name is silence.
func (p *Prompts) Source(name Prompt) media.Source {
	if s := p.sounds[name]; s != nil && len(s.samples) > 0 {
		return s.Loop()
	}
	switch name {
	case Ringback:
		return tone.Ringback(p.country)
	case Confirm:
		return tone.Confirm()
	case Hold:
		return tone.Hold()
	case Busy:
		return tone.Busy(p.country)
	case Unavailable:
		return tone.Unavailable(p.country)
	}
	return tone.Silence()
}

// region returns the region of a BCP 47 tag: "KR" of "ko-KR".
func region(locale string) string {
	_, rest, _ := strings.Cut(locale, "-")
	for part := range strings.SplitSeq(rest, "-") {
		if len(part) == 2 {
			return strings.ToUpper(part)
		}
	}
	return ""
}
