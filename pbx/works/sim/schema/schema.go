// Package schema checks bodies against what the documents of the NAVER WORKS
// API allow: required and known properties, lengths in UTF-16 code units, and
// which actions may stand where. It is pure and knows nothing of the simulator.
package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/dipcast/dipcast/pbx/works"
)

// check reports what the documents do not allow in one JSON value; path names
// the value for people.
type check func(path string, v any) error

// text is a string of 1 to most characters.
func text(most int) check {
	return func(path string, v any) error {
		s, ok := v.(string)
		if n := works.UTF16Len(s); !ok || n < 1 || n > most {
			return fmt.Errorf("%s must be a string of 1 to %d characters", path, most)
		}
		return nil
	}
}

// oneOfText is one of some strings.
func oneOfText(values ...string) check {
	return func(path string, v any) error {
		if s, ok := v.(string); !ok || !slices.Contains(values, s) {
			return fmt.Errorf("%s must be one of %s", path, strings.Join(values, ", "))
		}
		return nil
	}
}

func number(path string, v any) error {
	if _, ok := v.(float64); !ok {
		return fmt.Errorf("%s must be a number", path)
	}
	return nil
}

// link is a URL of one of the schemes.
func link(schemes ...string) check {
	return func(path string, v any) error {
		s, _ := v.(string)
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme) || works.UTF16Len(s) > 1000 {
			return fmt.Errorf("%s must be a URL (%s) of at most 1000 characters", path, strings.Join(schemes, ", "))
		}
		return nil
	}
}

// list is an array of 1 to most items.
func list(most int, item check) check {
	return func(path string, v any) error {
		items, ok := v.([]any)
		if !ok || len(items) < 1 || len(items) > most {
			return fmt.Errorf("%s must be an array of 1 to %d items", path, most)
		}
		for i, it := range items {
			if err := item(fmt.Sprintf("%s[%d]", path, i), it); err != nil {
				return err
			}
		}
		return nil
	}
}

// object has the required fields, perhaps the optional ones, and no other.
func object(required, optional map[string]check) check {
	return func(path string, v any) error {
		m, ok := v.(map[string]any)
		if !ok {
			return fmt.Errorf("%s must be an object", path)
		}
		for _, name := range slices.Sorted(maps.Keys(required)) {
			if _, ok := m[name]; !ok {
				return fmt.Errorf("%s.%s is missing", path, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(m)) {
			c, ok := required[name]
			if !ok {
				c, ok = optional[name]
			}
			if !ok {
				return fmt.Errorf("%s.%s is not a documented property", path, name)
			}
			if err := c(path+"."+name, m[name]); err != nil {
				return err
			}
		}
		return nil
	}
}

// byType chooses the check by the property "type".
func byType(kinds map[string]check) check {
	return func(path string, v any) error {
		m, ok := v.(map[string]any)
		kind, _ := m["type"].(string)
		c := kinds[kind]
		if !ok || c == nil {
			return fmt.Errorf("%s.type %q is not allowed here: one of %s", path, kind,
				strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
		}
		return c(path, v)
	}
}

// i18n is a list of variants: {"language", field}.
func i18n(field string, most int) check {
	return list(5, object(map[string]check{
		"language": oneOfText("ko_KR", "ja_JP", "zh_CN", "zh_TW", "en_US"), field: text(most),
	}, nil))
}

type fields = map[string]check

// any of the values is right where the type was looked at already.
func chosen(string, any) error { return nil }

// actions lists the documented actions with a limit for labels. Which of them
// are allowed depends on the place.
func actions(label int, allowed ...string) check {
	all := fields{
		"message": object(fields{"type": chosen, "label": text(label)},
			fields{"text": text(300), "postback": text(1000), "i18nLabels": i18n("label", label), "i18nTexts": i18n("text", 300)}),
		"uri": object(fields{"type": chosen, "label": text(label), "uri": link("http", "https")},
			fields{"i18nLabels": i18n("label", label)}),
		"copy": object(fields{"type": chosen, "label": text(label), "copyText": text(1000)},
			fields{"i18nLabels": i18n("label", label)}),
		"postback": object(fields{"type": chosen, "label": text(label), "data": text(300)},
			fields{"displayText": text(300), "i18nLabels": i18n("label", label), "i18nDisplayTexts": i18n("displayText", 300)}),
	}
	maps.DeleteFunc(all, func(kind string, _ check) bool { return !slices.Contains(allowed, kind) })
	return byType(all)
}

// fileOr is a file ID, or the given URLs.
func fileOr(urls fields) check {
	urls["type"] = chosen
	return func(path string, v any) error {
		if m, ok := v.(map[string]any); ok && m["fileId"] != nil {
			return object(fields{"type": chosen, "fileId": text(1000)}, nil)(path, v)
		}
		return object(urls, nil)(path, v)
	}
}

// contents are the kinds of message that the simulator shows. The others of
// the documents are refused as unknown.
func contents() check {
	column := object(fields{"text": text(120), "actions": list(3, actions(20, "message", "uri", "copy", "postback"))},
		fields{"title": text(40), "originalContentUrl": link("https"), "fileId": text(1000), "defaultAction": actions(20, "message", "uri", "copy", "postback")})
	return byType(fields{
		"text": object(fields{"type": chosen, "text": text(2000)}, fields{"i18nTexts": i18n("text", 2000)}),
		"link": object(fields{"type": chosen, "contentText": text(1000), "linkText": text(1000), "link": link("http", "https")},
			fields{"i18nContentTexts": i18n("contentText", 1000), "i18nLinkTexts": i18n("linkText", 1000)}),
		"image":    fileOr(fields{"previewImageUrl": link("https"), "originalContentUrl": link("https")}),
		"file":     fileOr(fields{"originalContentUrl": link("https")}),
		"location": object(fields{"type": chosen, "title": text(100), "address": text(100), "latitude": number, "longitude": number}, nil),
		"button_template": object(fields{"type": chosen, "contentText": text(1000), "actions": list(10, actions(20, "message", "uri", "copy"))},
			fields{"i18nContentTexts": i18n("contentText", 1000)}),
		"carousel": object(fields{"type": chosen, "columns": list(10, column)},
			fields{"imageAspectRatio": oneOfText("rectangle", "square"), "imageSize": oneOfText("cover", "contain")}),
	})
}

// Message checks the body of a bot's message.
func Message(body []byte) error {
	return validate(body, object(fields{"content": contents()}, nil))
}

// Menu checks the body of a persistent menu.
func Menu(body []byte) error {
	return validate(body, object(fields{"content": object(fields{"actions": list(4, actions(1000, "message", "uri", "copy"))}, nil)}, nil))
}

// Attachment checks the body that asks for an upload address.
func Attachment(body []byte) error {
	return validate(body, object(fields{"fileName": text(200)}, nil))
}

// validate decodes a body and checks it.
func validate(body []byte, c check) error {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return errors.New("the body is not JSON")
	}
	return c("body", v)
}
