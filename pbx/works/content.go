package works

import (
	"encoding/json"
	"fmt"
)

// Language is a language code as the API writes it.
type Language string

// The languages that the API has i18n variants for.
const (
	Korean             Language = "ko_KR"
	English            Language = "en_US"
	Japanese           Language = "ja_JP"
	SimplifiedChinese  Language = "zh_CN"
	TraditionalChinese Language = "zh_TW"
)

// languages fixes the order in which variants are written.
var languages = [...]Language{Korean, Japanese, SimplifiedChinese, TraditionalChinese, English}

// Words is one text with its variants; NAVER WORKS shows the variant of the
// reader's language, Text where there is none.
type Words struct {
	Text string
	I18n map[Language]string
}

// Plain is a text without variants.
func Plain(text string) Words { return Words{Text: text} }

// In returns the variant of that language, Text if there is none.
func (w Words) In(l Language) string {
	if v, ok := w.I18n[l]; ok {
		return v
	}
	return w.Text
}

// Content is what a bot message says: Text, Buttons, File or Image.
type Content interface {
	json.Marshaler
	// Validate reports, all at once, what the API would refuse.
	Validate() error
}

// Text is a plain message.
type Text struct{ Words }

// Buttons is a text with up to ten buttons ("button_template").
type Buttons struct {
	Words
	Actions []Action
}

// File is an attachment that was uploaded within the last 24 hours.
type File struct{ FileID string }

// Image is an uploaded picture.
type Image struct{ FileID string }

// Action is one button: Press or Link. Postback actions are not allowed in a
// button template, so there is no type for them.
type Action interface {
	json.Marshaler
	validate(labelMax int) error
}

// Press is a "message" action: pressing it puts the label into the chat as
// the user's line and calls back with Postback.
type Press struct {
	Label Words
	// Postback comes back with the press, at most 300 bytes here, so that it
	// fits every kind of action. It is readable by the user: put an opaque
	// token there.
	Postback string
}

// Link is a "uri" action.
type Link struct {
	Label Words
	URI   string // https; http for loopback hosts alone
}

// wire forms, in the order of the documents.
type (
	wireText struct {
		Type  string    `json:"type"`
		Text  string    `json:"text"`
		Texts []variant `json:"i18nTexts,omitempty"`
	}
	wireButtons struct {
		Type    string    `json:"type"`
		Text    string    `json:"contentText"`
		Texts   []variant `json:"i18nContentTexts,omitempty"`
		Actions []Action  `json:"actions"`
	}
	wireFile struct {
		Type   string `json:"type"`
		FileID string `json:"fileId"`
	}
	wireAction struct {
		Type     string    `json:"type"`
		Label    string    `json:"label"`
		Postback string    `json:"postback,omitempty"`
		URI      string    `json:"uri,omitempty"`
		Labels   []variant `json:"i18nLabels,omitempty"`
	}
)

// variant is one text of another language. On the wire the text's property
// has the name of the property that it is a variant of.
type variant struct {
	language    Language
	field, text string
}

// MarshalJSON implements json.Marshaler.
func (v variant) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(v.text)
	return fmt.Appendf(nil, `{"language":%q,%q:%s}`, v.language, v.field, text), err
}

// variants lists the variants in a fixed order.
func (w Words) variants(field string) []variant {
	var out []variant
	for _, l := range languages {
		if v, ok := w.I18n[l]; ok {
			out = append(out, variant{l, field, v})
		}
	}
	return out
}

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireText{
		Type: "text", Text: t.Text,
		Texts: t.variants("text"),
	})
}

// MarshalJSON implements json.Marshaler.
func (b Buttons) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireButtons{
		Type: "button_template", Text: b.Text, Actions: b.Actions,
		Texts: b.variants("contentText"),
	})
}

// MarshalJSON implements json.Marshaler.
func (f File) MarshalJSON() ([]byte, error) { return json.Marshal(wireFile{"file", f.FileID}) }

// MarshalJSON implements json.Marshaler.
func (i Image) MarshalJSON() ([]byte, error) { return json.Marshal(wireFile{"image", i.FileID}) }

// MarshalJSON implements json.Marshaler.
func (p Press) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireAction{Type: "message", Label: p.Label.Text, Postback: p.Postback, Labels: p.Label.variants("label")})
}

// MarshalJSON implements json.Marshaler.
func (l Link) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireAction{Type: "uri", Label: l.Label.Text, URI: l.URI, Labels: l.Label.variants("label")})
}
