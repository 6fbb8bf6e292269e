package works

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// APIError is an answer of NAVER WORKS that is no success. Status 0 cannot
// occur: without an answer the error is a *TransportError.
type APIError struct {
	Operation   string        // "bot.message.user", "token", ...
	Status      int           // HTTP status
	Code        string        // "TOO_MANY_REQUESTS", "invalid_scope", ...
	Description string        // as the server wrote it, cleaned and shortened
	Cure        string        // what to do about it, may be empty
	RetryAfter  time.Duration // from the rate limit headers, 0 = not told
}

func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "NAVER WORKS %s: HTTP %d", e.Operation, e.Status)
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Description != "" {
		b.WriteString(" (" + e.Description + ")")
	}
	if e.Cure != "" {
		b.WriteString(": " + e.Cure)
	}
	return b.String()
}

// TransportError is a request that got no answer.
type TransportError struct {
	Operation string
	// Sent reports whether the request may have reached the server: sending
	// it again could do the thing twice.
	Sent bool
	Err  error
}

func (e *TransportError) Error() string {
	return fmt.Sprintf("NAVER WORKS %s: no answer: %v", e.Operation, e.Err)
}

// Unwrap returns the cause, for example context.DeadlineExceeded.
func (e *TransportError) Unwrap() error { return e.Err }

// IsNotFound reports whether err says that the user, bot or contact does not
// exist.
func IsNotFound(err error) bool {
	var a *APIError
	return errors.As(err, &a) && (a.Status == http.StatusNotFound || a.Status == http.StatusGone)
}

// withoutURL strips the URL that net/http puts around errors: it may carry
// the token of an upload.
func withoutURL(err error) error {
	for {
		var u *url.Error
		if !errors.As(err, &u) {
			return err
		}
		err = u.Err
	}
}

// maxDescription is how much of a server's words an error repeats.
const maxDescription = 300

// parseError reads the two error bodies that the service uses: {"code",
// "description"} of the API and {"error","error_description"} of OAuth.
func parseError(operation string, a reply, clean func(string) string) *APIError {
	var b struct {
		Code        string `json:"code"`
		Description string `json:"description"`
		Error       string `json:"error"`
		ErrorText   string `json:"error_description"`
	}
	e := &APIError{Operation: operation, Status: a.status, RetryAfter: retryAfter(a.header)}
	if json.Unmarshal(a.body, &b) == nil {
		e.Code, e.Description = b.Code, b.Description
		if e.Code == "" {
			e.Code, e.Description = b.Error, b.ErrorText
		}
	}
	e.Code = Truncate(clean(printable(e.Code)), 64)
	e.Description = Truncate(clean(printable(e.Description)), maxDescription)
	e.Cure = cure(e.Code)
	return e
}

// printable drops what could forge lines of a log.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}

// cure says what to do about an error code, "" if there is nothing to say.
func cure(code string) string {
	switch code {
	case "invalid_scope":
		return "the app lacks one of the requested scopes: add it in the Developer Console (it takes some minutes to work) or take it out of the bot's scopes"
	case "invalid_client":
		return "the client ID or the client secret is wrong: copy both again from the app in the Developer Console"
	case "unauthorized_client":
		return "the app may not use service accounts: check its settings in the Developer Console"
	case "invalid_grant":
		return "the service account, its private key or this machine's clock is wrong: compare the account, issue a new key, check the time"
	case "SERVICE_ACCOUNT_NOT_ALLOWED":
		return "this API cannot be used with a service account"
	case "FORBIDDEN":
		return "the token lacks the scope of this API: add it to the app and to the bot's scopes"
	case "ACCESS_DENIED":
		return "add the bot under Admin > Service > Bot and open it to the member"
	case "TOO_MANY_REQUESTS":
		return "the rate limit of the domain is used up, the request waits"
	case "UNAUTHORIZED":
		return "the access token was refused although it was new: check the service account"
	}
	return ""
}
