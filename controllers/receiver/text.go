package receiver

import (
	"strings"

	"github.com/dipcast/dipcast/pbx/works"
)

// sorry is what somebody reads whose press came to nothing: in the language of
// the chat where NAVER WORKS knows it, else in that of the company's locale
// (BCP 47), else in English.
func sorry(locale string) works.Words {
	texts := map[works.Language]string{
		works.Korean:   "전화 시스템에 30초 동안 연결되지 않아 방금 누른 버튼이나 보낸 메시지를 전달하지 못했습니다. 통화 상태를 확인한 뒤 다시 눌러 주세요.",
		works.English:  "The telephone system could not be reached for 30 seconds, so what you pressed or wrote did not arrive. Please look at the call and press again.",
		works.Japanese: "電話システムに30秒間つながらず、先ほどの操作を伝えられませんでした。通話の状態を確認して、もう一度押してください。",
	}
	words := works.Words{Text: texts[works.English], I18n: texts}
	language, _, _ := strings.Cut(strings.ToLower(locale), "-")
	for l, text := range texts {
		if own, _, _ := strings.Cut(string(l), "_"); own == language {
			words.Text = text
		}
	}
	return words
}
