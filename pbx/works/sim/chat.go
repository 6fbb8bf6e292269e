package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/dipcast/dipcast/pbx/works"
)

// chat is the talk of one user with the bots.
type chat struct {
	user  works.User
	lines []Line
}

// Line is one line of a chat: a bot's message or what the user wrote.
type Line struct {
	ID      int       `json:"id"` // ascending over all chats
	Time    time.Time `json:"time"`
	Message *Message  `json:"message,omitempty"` // from the bot
	Text    string    `json:"text,omitempty"`    // from the user
}

// Words is a text with its variants by language.
type Words = works.Words

// Message is a bot's message as the chat shows it.
type Message struct {
	Index   int             `json:"index"` // among the messages of this user, from 0
	BotID   int64           `json:"botID"`
	BotName string          `json:"botName"`
	Type    string          `json:"type"` // "text", "button_template", ...
	Text    Words           `json:"text"`
	Buttons []Button        `json:"buttons,omitempty"`
	File    string          `json:"file,omitempty"` // name of the attachment
	FileURL string          `json:"fileURL,omitempty"`
	Time    time.Time       `json:"time"`
	Raw     json.RawMessage `json:"-"` // the content as it was sent
}

// Button is one action of a message.
type Button struct {
	Type     string `json:"type"` // "message", "uri", "copy", "postback"
	Label    Words  `json:"label"`
	Postback string `json:"-"` // of message and postback actions
	Display  string `json:"-"` // what a postback action puts into the chat
	URI      string `json:"uri,omitempty"`
	Copy     string `json:"copy,omitempty"`
}

// wire forms of what a message holds.
type (
	rawContent struct {
		Type     string      `json:"type"`
		Text     string      `json:"text"`
		Content  string      `json:"contentText"`
		LinkText string      `json:"linkText"`
		Link     string      `json:"link"`
		FileID   string      `json:"fileId"`
		URL      string      `json:"originalContentUrl"`
		Title    string      `json:"title"`
		Texts    []rawI18n   `json:"i18nTexts"`
		Contents []rawI18n   `json:"i18nContentTexts"`
		Links    []rawI18n   `json:"i18nLinkTexts"`
		Actions  []rawAction `json:"actions"`
		Columns  []struct {
			Title   string      `json:"title"`
			Text    string      `json:"text"`
			Actions []rawAction `json:"actions"`
		} `json:"columns"`
	}
	rawAction struct {
		Type     string    `json:"type"`
		Label    string    `json:"label"`
		Postback string    `json:"postback"`
		Data     string    `json:"data"`
		Display  string    `json:"displayText"`
		URI      string    `json:"uri"`
		Copy     string    `json:"copyText"`
		Labels   []rawI18n `json:"i18nLabels"`
	}
	rawI18n struct {
		Language works.Language `json:"language"`
		Text     string         `json:"text"`
		Content  string         `json:"contentText"`
		LinkText string         `json:"linkText"`
		Label    string         `json:"label"`
	}
)

// words joins a text with its variants, of which exactly one field is filled.
func words(text string, variants []rawI18n) Words {
	w := Words{Text: text}
	for _, v := range variants {
		if w.I18n == nil {
			w.I18n = make(map[works.Language]string)
		}
		w.I18n[v.Language] = v.Text + v.Content + v.LinkText + v.Label
	}
	return w
}

func (a rawAction) button() Button {
	return Button{
		Type: a.Type, Label: words(a.Label, a.Labels), Postback: a.Postback + a.Data, Display: a.Display, URI: a.URI, Copy: a.Copy,
	}
}

// parseMessage reads a content that was checked before.
func parseMessage(content json.RawMessage) (Message, error) {
	var c rawContent
	if err := json.Unmarshal(content, &c); err != nil {
		return Message{}, err
	}
	m := Message{Type: c.Type, Text: words(c.Text+c.Content+c.Title, append(c.Texts, c.Contents...)), FileURL: c.URL, Raw: content}
	for _, a := range c.Actions {
		m.Buttons = append(m.Buttons, a.button())
	}
	for i, col := range c.Columns {
		if i == 0 {
			m.Text = Words{Text: col.Title + "\n" + col.Text}
		}
		for _, a := range col.Actions {
			m.Buttons = append(m.Buttons, a.button())
		}
	}
	if c.Link != "" {
		m.Buttons = append(m.Buttons, Button{Type: "uri", Label: words(c.LinkText, c.Links), URI: c.Link})
	}
	m.File = c.FileID
	return m, nil
}

// post adds a bot's message to a chat.
func (s *Server) post(user string, m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[user]
	for _, l := range c.lines {
		if l.Message != nil {
			m.Index = l.Message.Index + 1
		}
	}
	if f, ok := s.files[m.File]; ok {
		m.File, m.FileURL = f.name, "/sim/file/"+f.id
	}
	m.Time = s.cfg.Now()
	s.append(c, Line{Message: &m})
}

// append adds a line to a chat and wakes who waits; the caller holds mu.
func (s *Server) append(c *chat, l Line) {
	s.lines++
	l.ID, l.Time = s.lines, s.cfg.Now()
	c.lines = append(c.lines, l)
	close(s.changed)
	s.changed = make(chan struct{})
}

// linesAfter returns the lines of a chat after an ID, and what is closed when
// there are more.
func (s *Server) linesAfter(user string, id int) ([]Line, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[user]
	if c == nil {
		return nil, s.changed
	}
	i := slices.IndexFunc(c.lines, func(l Line) bool { return l.ID > id })
	if i < 0 {
		return nil, s.changed
	}
	return slices.Clone(c.lines[i:]), s.changed
}

// Messages returns the bot messages that a user (ID or e-mail) got, oldest
// first.
func (s *Server) Messages(user string) []Message {
	u, _ := s.userByName(user)
	lines, _ := s.linesAfter(u.UserID, 0)
	var out []Message
	for _, l := range lines {
		if l.Message != nil {
			out = append(out, *l.Message)
		}
	}
	return out
}

// Wait returns the first message of a user that matches, waiting for it until
// ctx ends.
func (s *Server) Wait(ctx context.Context, user string, match func(Message) bool) (Message, error) {
	u, ok := s.userByName(user)
	if !ok {
		return Message{}, fmt.Errorf("user %q is not known", user)
	}
	for seen := 0; ; {
		lines, changed := s.linesAfter(u.UserID, seen)
		for _, l := range lines {
			seen = l.ID
			if l.Message != nil && match(*l.Message) {
				return *l.Message, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Message{}, fmt.Errorf("no such message for %s: %w", user, context.Cause(ctx))
		}
	}
}

// Press presses a button as the user that the message was sent to. It
// returns when the callback was answered (or lost, or put off by a fault), with an error
// if the answer was not 200. A link cannot be pressed: its address is in the Button.
func (s *Server) Press(ctx context.Context, user string, message, button int) error {
	return s.PressAs(ctx, user, message, button, user)
}

// PressAs lets somebody else press a button of user's message, as if a token
// had been stolen.
func (s *Server) PressAs(ctx context.Context, user string, message, button int, presser string) error {
	who, ok := s.userByName(presser)
	if !ok {
		return fmt.Errorf("user %q is not known", presser)
	}
	messages := s.Messages(user)
	if message < 0 || message >= len(messages) || button < 0 || button >= len(messages[message].Buttons) {
		return fmt.Errorf("user %s has no message %d with a button %d", user, message, button)
	}
	return s.press(ctx, who, messages[message].BotID, messages[message].Buttons[button], works.Language(who.Locale))
}

func (s *Server) press(ctx context.Context, who works.User, botID int64, b Button, language works.Language) error {
	label := b.Label.In(language)
	switch b.Type {
	case "message":
		s.say(who, label)
		return s.callback(ctx, botID, who, map[string]any{
			"type": "message", "content": map[string]any{"type": "text", "text": label, "postback": b.Postback},
		})
	case "postback":
		if b.Display != "" {
			s.say(who, b.Display)
		}
		return s.callback(ctx, botID, who, map[string]any{"type": "postback", "data": b.Postback})
	}
	return fmt.Errorf("a button of type %q calls nobody back", b.Type)
}

// say puts the user's own line into the chat.
func (s *Server) say(who works.User, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.append(s.chats[who.UserID], Line{Text: text})
}

// Say writes a line to a bot as the user.
func (s *Server) Say(ctx context.Context, user string, botID int64, text string) error {
	who, ok := s.userByName(user)
	if !ok {
		return fmt.Errorf("user %q is not known", user)
	}
	s.say(who, text)
	return s.callback(ctx, botID, who, map[string]any{
		"type": "message", "content": map[string]any{"type": "text", "text": text},
	})
}
