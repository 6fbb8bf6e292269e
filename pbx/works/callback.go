package works

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The headers of a callback; names are case-insensitive.
const (
	HeaderBotID     = "X-WORKS-BotId"
	HeaderSignature = "X-WORKS-Signature"
)

// MaxCallback is the largest body of a callback that is decoded, in bytes.
const MaxCallback = 256 << 10

// EventType is the kind of a callback.
type EventType string

// The documented kinds. Others may be added by the service and are to be
// ignored: see Event.Known.
const (
	EventMessage  EventType = "message"  // a line, a file or a press of a Press button
	EventPostback EventType = "postback" // a press of a postback action
	EventJoin     EventType = "join"     // the bot was invited to a room
	EventLeave    EventType = "leave"    // the bot left a room
	EventJoined   EventType = "joined"   // members came into the bot's room
	EventLeft     EventType = "left"     // members left the bot's room
	EventBegin    EventType = "begin"    // a 1:1 talk begins
	EventEnd      EventType = "end"      // a 1:1 talk was ended
)

// Event is one callback. Everything in it but the user and domain IDs is
// text that a person or a client wrote: hostile until proven otherwise.
type Event struct {
	Type      EventType
	UserID    string // who wrote or pressed; the signature covers it
	ChannelID string // empty in a 1:1 talk
	DomainID  int64
	Issued    time.Time // zero if missing or unreadable
	// Kind is the content's type of a message: text, image, file, sticker, ...
	Kind string
	Text string // of a message of kind text
	// Postback is the token of the pressed button, whether it came as a
	// message or as a postback event; "start" is the chat's Start button.
	Postback string
	FileID   string   // of image, file, audio and video
	Members  []string // of joined and left
}

// Known reports whether the event is of a documented kind.
func (e Event) Known() bool {
	switch e.Type {
	case EventMessage, EventPostback, EventJoin, EventLeave, EventJoined, EventLeft, EventBegin, EventEnd:
		return true
	}
	return false
}

// Sign returns the signature of a callback body: base64 of HMAC-SHA256 with
// the bot secret as key.
func Sign(botSecret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(botSecret))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// VerifyCallback reports whether signature (the header X-WORKS-Signature) is
// that of the raw body. The comparison takes constant time. An empty secret
// verifies nothing.
func VerifyCallback(botSecret string, body []byte, signature string) bool {
	if botSecret == "" {
		return false
	}
	return hmac.Equal([]byte(Sign(botSecret, body)), []byte(strings.TrimSpace(signature)))
}

// ErrCallback is what every error of DecodeCallback is.
var ErrCallback = errors.New("not a callback of NAVER WORKS")

// DecodeCallback reads a body whose signature was verified. Unknown kinds
// and unknown fields are no errors.
func DecodeCallback(body []byte) (Event, error) {
	if len(body) > MaxCallback {
		return Event{}, fmt.Errorf("%w: %d bytes, at most %d", ErrCallback, len(body), MaxCallback)
	}
	var b struct {
		Type   string `json:"type"`
		Source struct {
			UserID    string     `json:"userId"`
			ChannelID string     `json:"channelId"`
			DomainID  lenientInt `json:"domainId"`
		} `json:"source"`
		IssuedTime string   `json:"issuedTime"`
		Data       string   `json:"data"`
		Members    []string `json:"members"`
		Content    struct {
			Type     string `json:"type"`
			Text     string `json:"text"`
			Postback string `json:"postback"`
			FileID   string `json:"fileId"`
		} `json:"content"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return Event{}, fmt.Errorf("%w: %s", ErrCallback, Truncate(printable(err.Error()), 200))
	}
	if b.Type == "" {
		return Event{}, fmt.Errorf("%w: no type", ErrCallback)
	}
	e := Event{
		Type: EventType(b.Type), UserID: b.Source.UserID, ChannelID: b.Source.ChannelID, DomainID: int64(b.Source.DomainID),
		Kind: b.Content.Type, Text: b.Content.Text, Postback: b.Content.Postback, FileID: b.Content.FileID, Members: b.Members,
	}
	if e.Type == EventPostback {
		e.Postback = b.Data
	}
	if t, err := time.Parse(time.RFC3339Nano, b.IssuedTime); err == nil {
		e.Issued = t.UTC()
	}
	return e, nil
}

// lenientInt is a number that may come as text; anything else is 0.
type lenientInt int64

// UnmarshalJSON implements json.Unmarshaler; it never fails.
func (n *lenientInt) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(string(bytes.Trim(b, `"`)), 10, 64)
	if err != nil {
		v = 0
	}
	*n = lenientInt(v)
	return nil
}
