package works

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// The documented limits. Characters are counted as UTF-16 code units, which
// is the stricter reading of the documents.
const (
	MaxText        = 2000 // of Text
	MaxButtonsText = 1000 // of Buttons
	MaxActions     = 10   // of Buttons
	MaxLabel       = 20   // of an action of Buttons
	MaxMenuActions = 4    // of the persistent menu
	MaxMenuLabel   = 1000 // of an action of the persistent menu
	MaxPostback    = 300  // bytes; the tightest of the documented limits
	MaxURI         = 1000
	maxFileID      = 1000
)

// Validate implements Content.
func (t Text) Validate() error { return checkWords("text", t.Words, MaxText) }

// Validate implements Content.
func (b Buttons) Validate() error {
	errs := []error{checkWords("contentText", b.Words, MaxButtonsText)}
	errs = append(errs, checkActions(b.Actions, MaxActions, MaxLabel)...)
	return errors.Join(errs...)
}

// Validate implements Content.
func (f File) Validate() error { return checkFileID(f.FileID) }

// Validate implements Content.
func (i Image) Validate() error { return checkFileID(i.FileID) }

func checkFileID(id string) error {
	if id == "" || UTF16Len(id) > maxFileID {
		return fmt.Errorf("fileId has %d characters: must have 1 to %d", UTF16Len(id), maxFileID)
	}
	return nil
}

func checkActions(actions []Action, most, labelMax int) []error {
	var errs []error
	if len(actions) == 0 || len(actions) > most {
		errs = append(errs, fmt.Errorf("%d actions: must be 1 to %d", len(actions), most))
	}
	for i, a := range actions {
		if a == nil {
			errs = append(errs, fmt.Errorf("action %d is nil", i+1))
			continue
		}
		if err := a.validate(labelMax); err != nil {
			errs = append(errs, fmt.Errorf("action %d: %w", i+1, err))
		}
	}
	return errs
}

func (p Press) validate(labelMax int) error {
	err := checkWords("label", p.Label, labelMax)
	if len(p.Postback) > MaxPostback {
		err = errors.Join(err, fmt.Errorf("postback has %d bytes: at most %d", len(p.Postback), MaxPostback))
	}
	if !utf8.ValidString(p.Postback) {
		err = errors.Join(err, errors.New("postback is not UTF-8"))
	}
	return err
}

func (l Link) validate(labelMax int) error {
	return errors.Join(checkWords("label", l.Label, labelMax), CheckURI(l.URI))
}

// CheckURI reports why a link would be refused: links are https, at most
// MaxURI characters; http is accepted for loopback hosts alone.
func CheckURI(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("uri %q: must be an absolute https URL", Truncate(raw, 100))
	case u.User != nil:
		return errors.New("uri: must not carry a user or password")
	case !secureURL(u):
		return fmt.Errorf("uri %q: must be https; http is accepted for loopback addresses alone", Truncate(raw, 100))
	case UTF16Len(raw) > MaxURI:
		return fmt.Errorf("uri has %d characters: at most %d", UTF16Len(raw), MaxURI)
	}
	return nil
}

// checkWords checks a text and its variants.
func checkWords(field string, w Words, most int) error {
	errs := []error{checkText(field, w.Text, most)}
	for l, v := range w.I18n {
		if !slices.Contains(languages[:], l) {
			errs = append(errs, fmt.Errorf("%s: language %q is not one of ko_KR, ja_JP, zh_CN, zh_TW, en_US", field, l))
			continue
		}
		errs = append(errs, checkText(field+" in "+string(l), v, most))
	}
	return errors.Join(errs...)
}

func checkText(field, s string, most int) error {
	switch n := UTF16Len(s); {
	case strings.TrimSpace(s) == "":
		return fmt.Errorf("%s is empty", field)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s is not UTF-8", field)
	case n > most:
		return fmt.Errorf("%s has %d characters: at most %d, use Truncate", field, n, most)
	}
	return nil
}
