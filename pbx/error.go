package pbx

import (
	"errors"
	"fmt"
)

// Code is the machine-readable kind of an Error. The catalogue of each
// language has one sentence per code.
type Code string

// The reasons for which a command is refused or comes to nothing.
const (
	CodeGone          Code = "gone"           // the call has ended
	CodeTaken         Code = "taken"          // somebody else was faster; Error.Who says who
	CodePressed       Code = "pressed"        // this button was already pressed
	CodeChanged       Code = "changed"        // the presser chose another target for the call
	CodeNotYours      Code = "not-yours"      // the card was sent to somebody else
	CodeNotRegistered Code = "not-registered" // no phone of the extension is registered
	CodeNoMobile      Code = "no-mobile"      // the extension has no mobile number
	CodeNoAssistant   Code = "no-assistant"   // no assistant is configured
	CodeNoTrunk       Code = "no-trunk"       // no trunk is up or permitted
	CodeBusy          Code = "busy"           // the target is busy
	CodeNoAnswer      Code = "no-answer"      // the target did not answer in time
	CodeNotConfirmed  Code = "not-confirmed"  // the mobile answered and pressed nothing
	CodeForbidden     Code = "forbidden"      // the outbound policy refuses the number
	CodeBadNumber     Code = "bad-number"     // the number leads nowhere
	CodeLimit         Code = "limit"          // the class limit of concurrent calls is reached
	CodeDraining      Code = "draining"       // the PBX is shutting down
	CodeFailed        Code = "failed"         // anything else; Text says what
)

// Error is a refusal that may be shown to people and sent to machines. It
// carries no secret and no internal address.
type Error struct {
	Code Code   `json:"code"`
	Who  string `json:"who,omitempty"`  // for CodeTaken: display name or number
	Text string `json:"text,omitempty"` // English, one sentence, for logs
}

// Errorf makes an Error with an English sentence for logs and the API.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string {
	if e.Text == "" {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Text
}

// Is reports whether target is an *Error of the same code, so that
// errors.Is(err, pbx.ErrGone) works whatever the text is.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code
}

// ErrGone is what look-ups of a call that is over return.
var ErrGone = &Error{Code: CodeGone, Text: "the call has ended"}

// CodeOf returns the code of err, CodeFailed if it has none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeFailed
}
