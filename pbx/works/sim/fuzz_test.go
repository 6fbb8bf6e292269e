package sim

import (
	"encoding/json"
	"testing"

	"github.com/dipcast/dipcast/pbx/works/sim/schema"
)

// Whatever passes the checks can be shown; whatever does not is refused
// without a crash.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		`{"content":{"type":"text","text":"x","i18nTexts":[{"language":"en_US","text":"y"}]}}`,
		`{"content":{"type":"button_template","contentText":"x","actions":[{"type":"message","label":"a","postback":"v1"},{"type":"uri","label":"b","uri":"https://a.example/"}]}}`,
		`{"content":{"type":"carousel","columns":[{"text":"x","actions":[{"type":"postback","label":"a","data":"d"}]}]}}`,
		`{"content":{"type":"image","fileId":"f"}}`, `{"content":{"type":"link","contentText":"x","linkText":"y","link":"https://a.example"}}`,
		`{"content":{"type":5}}`, `{"content":[]}`, `[]`, `null`, `{"content":{"type":"button_template","contentText":"x","actions":{}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if schema.Message(body) != nil {
			return
		}
		var b struct {
			Content json.RawMessage `json:"content"`
		}
		if err := json.Unmarshal(body, &b); err != nil {
			t.Fatalf("valid and not readable: %v", err)
		}
		m, err := parseMessage(b.Content)
		if err != nil || m.Type == "" {
			t.Errorf("valid and not shown: %+v, %v", m, err)
		}
		for _, button := range m.Buttons {
			if button.Label.Text == "" {
				t.Errorf("%s: a button without a label", body)
			}
		}
	})
}
