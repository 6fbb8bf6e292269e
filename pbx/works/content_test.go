package works

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestContentsOnTheWire(t *testing.T) {
	label := Words{Text: "내 모바일로 당겨 받기", I18n: map[Language]string{English: "To my mobile", Korean: "내 모바일로 당겨 받기"}}
	for _, test := range []struct {
		content Content
		want    string
	}{
		{Text{Plain("안녕")}, `{"type":"text","text":"안녕"}`},
		{
			Text{Words{"전화", map[Language]string{English: "Call", Japanese: "電話"}}},
			`{"type":"text","text":"전화","i18nTexts":[{"language":"ja_JP","text":"電話"},{"language":"en_US","text":"Call"}]}`,
		},
		{File{"f-1"}, `{"type":"file","fileId":"f-1"}`},
		{Image{"i-1"}, `{"type":"image","fileId":"i-1"}`},
		{
			Buttons{Words{"외부 전화", map[Language]string{English: "External call"}}, []Action{
				Press{Label: label, Postback: "v1.token"}, Link{Label: Plain("DIPCAST WEB"), URI: "https://acme.pbx.example.com/calls/x"},
			}},
			`{"type":"button_template","contentText":"외부 전화","i18nContentTexts":[{"language":"en_US","contentText":"External call"}],"actions":[` +
				`{"type":"message","label":"내 모바일로 당겨 받기","postback":"v1.token","i18nLabels":[{"language":"ko_KR","label":"내 모바일로 당겨 받기"},{"language":"en_US","label":"To my mobile"}]},` +
				`{"type":"uri","label":"DIPCAST WEB","uri":"https://acme.pbx.example.com/calls/x"}]}`,
		},
	} {
		got, err := json.Marshal(test.content)
		if err != nil || string(got) != test.want {
			t.Errorf("%v\n got %s\nwant %s", err, got, test.want)
		}
		if err := test.content.Validate(); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
}

func TestLimits(t *testing.T) {
	n := func(count int) string { return strings.Repeat("가", count) }
	press := func(label, postback string) Action { return Press{Label: Plain(label), Postback: postback} }
	link := func(uri string) Action { return Link{Label: Plain("web"), URI: uri} }
	buttons := func(text string, actions ...Action) Content { return Buttons{Plain(text), actions} }
	many := func(count int) []Action {
		var out []Action
		for i := range count {
			out = append(out, press(fmt.Sprint(i), "t"))
		}
		return out
	}
	for _, test := range []struct {
		name    string
		content Content
		fault   string // "" = valid
	}{
		{"text of 2000", Text{Plain(n(2000))}, ""},
		{"text of 2001", Text{Plain(n(2001))}, "2001 characters: at most 2000"},
		{"text of blanks", Text{Plain(" \n")}, "text is empty"},
		{"text of no UTF-8", Text{Plain("\xff")}, "not UTF-8"},
		{"text in an unknown language", Text{Words{"x", map[Language]string{"ko": "x"}}}, `language "ko"`},
		{"long variant", Text{Words{"x", map[Language]string{English: n(2001)}}}, "text in en_US has 2001"},
		{"contentText of 1000", buttons(n(1000), press("a", "t")), ""},
		{"contentText of 1001", buttons(n(1001), press("a", "t")), "contentText has 1001"},
		{"no action", buttons("x"), "0 actions"},
		{"ten actions", buttons("x", many(10)...), ""},
		{"eleven actions", buttons("x", many(11)...), "11 actions"},
		{"nil action", buttons("x", nil), "action 1 is nil"},
		{"label of 20", buttons("x", press(n(20), "t")), ""},
		{"label of 21", buttons("x", press(n(21), "t")), "label has 21"},
		{"label of 11 emoji", buttons("x", press(strings.Repeat("😀", 11), "t")), "label has 22"},
		{"empty label", buttons("x", press("", "t")), "label is empty"},
		{"postback of 300 bytes", buttons("x", press("a", n(100))), ""},
		{"postback of 303 bytes", buttons("x", press("a", n(101))), "303 bytes"},
		{"http link", buttons("x", link("http://pbx.example/")), "must be https"},
		{"loopback link", buttons("x", link("http://127.0.0.1:8080/x")), ""},
		{"tel link", buttons("x", link("tel:0101234")), "absolute https URL"},
		{"script link", buttons("x", link("javascript:alert(1)")), "absolute https URL"},
		{"link with a password", buttons("x", link("https://a:b@pbx.example/")), "user or password"},
		{"link of 1000", buttons("x", link("https://pbx.example/"+strings.Repeat("a", 980))), ""},
		{"link of 1001", buttons("x", link("https://pbx.example/"+strings.Repeat("a", 981))), "1001 characters"},
		{"file without ID", File{}, "fileId"},
	} {
		err := test.content.Validate()
		switch {
		case test.fault == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)):
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.fault)
		}
	}
}

func TestTruncate(t *testing.T) {
	for _, test := range []struct {
		in    string
		limit int
		want  string
	}{
		{"김하늘", 3, "김하늘"},
		{"김하늘님", 3, "김하…"},
		{"ab cd ef", 4, "ab…"},
		{"😀😀😀", 6, "😀😀😀"},
		{"😀😀😀", 5, "😀😀…"},
		{"😀😀😀", 4, "😀…"},
		{"e\u0301e\u0301e\u0301", 4, "e\u0301…"},
		{"👨\u200d👩\u200d👧 x", 7, "…"}, // not half a family
		{"abc", 1, "…"},
		{"abc", 0, ""},
		{"", 0, ""},
	} {
		got := Truncate(test.in, test.limit)
		if got != test.want || UTF16Len(got) > test.limit {
			t.Errorf("Truncate(%q, %d) = %q, want %q", test.in, test.limit, got, test.want)
		}
	}
}

func TestCleanName(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"ordinary", "홍길동 (고객사)", "홍길동 (고객사)"},
		{"ordinary Latin", "Anna O'Neil-Smith, Jr.", "Anna O'Neil-Smith, Jr."},
		{"ordinary Japanese", "佐藤 さくら", "佐藤 さくら"},
		{"accents", "Renée Zoë", "Renée Zoë"},
		{"lines", "a\r\nb\tc\u2028d", "a b c d"},
		{"controls", "a\x00\x1b[31mb\x7f\u0085c", "a[31mb c"},
		{"turned around", "\u202egpj.exe\u202c", "gpj. exe"},
		{"isolates", "\u2066a\u2069\u061c\u200e", "a"},
		{"invisible", "a\u200b\u200d\ufeff\u00adb\U000e0041", "ab"},
		{"fillers", "\u3164\u115f \uffa0", ""},
		{"mention", `<m userId="all">@all</m>`, `‹m userId="all"›@ all‹/m›`},
		{"URL", "https://evil.example/x", "https: //evil. example/x"},
		{"bare host", "call evil.example now", "call evil. example now"},
		{"full-width dot", "evil。example", "evil。 example"},
		{"e-mail", "a@evil.example", "a@ evil. example"},
		{"number", "010-1234-5678", "010-1234-5678"},
		{"broken UTF-8", "a\xffb", "ab"},
		{"long", strings.Repeat("가", 100), strings.Repeat("가", 39) + "…"},
		{"empty", " \n ", ""},
	} {
		if got := CleanName(test.in, 40); got != test.want {
			t.Errorf("%s: CleanName(%q) = %q, want %q", test.name, test.in, got, test.want)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"홍길동", "<m userId=\"x\">", "\u202ehttps://evil.example\u202c", "a\x00b", "😀\u200d😀", "\xff\xfe", "a.b.c.d@e.f", "http://［::1］/"} {
		f.Add(s, 40)
	}
	f.Add("@가가", 2)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = max(limit%200, 0)
		got := CleanName(s, limit)
		if !utf8.ValidString(got) || UTF16Len(got) > limit {
			t.Fatalf("%q is not valid or longer than %d", got, limit)
		}
		for _, bad := range []string{"<", ">", "://", "\n", "\r"} {
			if strings.Contains(got, bad) {
				t.Errorf("%q contains %q", got, bad)
			}
		}
		prev := rune(0)
		for _, r := range got {
			if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) {
				t.Errorf("%q contains %U", got, r)
			}
			if (prev == '@' || prev == '＠') && r != ' ' && r != '…' {
				t.Errorf("%q may be read as an e-mail address", got)
			}
			prev = r
		}
		if again := CleanName(got, limit); again != got && !strings.HasSuffix(got, "…") {
			t.Errorf("cleaning twice changes %q to %q", got, again)
		}
	})
}

func TestNameIndexHonoursPermissions(t *testing.T) {
	phone := func(n string) []ContactPhone { return []ContactPhone{{Number: n}} }
	x := NewNameIndex("02",
		[]User{
			{UserID: "u1", Name: PersonName{"김", "하늘"}, Telephone: "101", CellPhone: "+82 010-1111-2222"},
			{UserID: "gone", Name: PersonName{"이", "별"}, Telephone: "102", Deleted: true},
		},
		[]Contact{
			{
				Name: PersonName{"홍", "길동"}, Telephones: phone("010-1234-5678"), Permission: ContactPermission{Range: "ALL"},
				Organizations: []ContactOrganization{{Name: "다른"}, {Name: "고객사", Primary: true}},
			},
			{Name: PersonName{"Doe", "Jane"}, Telephones: phone("555-0199"), Permission: ContactPermission{Range: "MEMBER", Owner: "u1", Members: []string{"u2"}}},
			{Name: PersonName{"Roe", "Rick"}, Telephones: phone("555-0198")}, // no range at all
			{Telephones: phone("555-0197"), Permission: ContactPermission{Range: "ALL"}, Organizations: []ContactOrganization{{Name: "협력사"}}},
		})
	for _, test := range []struct {
		number, viewer string
		want           Who
	}{
		{"01012345678", "", Who{Name: "홍길동", Company: "고객사"}},
		{"+82 10 1234 5678", "u9", Who{Name: "홍길동", Company: "고객사"}},
		{"010-1111-2222", "", Who{Name: "김하늘", UserID: "u1"}},
		{"101", "", Who{Name: "김하늘", UserID: "u1"}},
		{"02-555-0199", "u1", Who{Name: "Jane Doe"}},
		{"02-555-0199", "u2", Who{Name: "Jane Doe"}},
		{"02-555-0199", "u3", Who{}},
		{"02-555-0199", "", Who{}},
		{"02-555-0198", "u1", Who{}},
		{"02-555-0197", "u1", Who{Company: "협력사"}},
		{"102", "", Who{}},
		{"", "", Who{}},
	} {
		got, ok := x.Lookup(test.number, test.viewer)
		if got != test.want || ok != (test.want != Who{}) {
			t.Errorf("Lookup(%q, %q) = %+v, %t, want %+v", test.number, test.viewer, got, ok, test.want)
		}
	}
}
