package works

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Bot is the part of a bot's settings that the PBX looks at.
type Bot struct {
	BotID          int64    `json:"botId"`
	Name           string   `json:"botName"`
	EnableCallback bool     `json:"enableCallback"`
	CallbackURL    string   `json:"callbackUrl"`
	CallbackEvents []string `json:"callbackEvents"`
	ChannelEvents  []string `json:"channelEvents"`
}

// BotPatch changes settings of a bot; nil fields stay as they are.
type BotPatch struct {
	EnableCallback *bool    `json:"enableCallback,omitempty"`
	CallbackURL    *string  `json:"callbackUrl,omitempty"` // https; "" = no callback
	CallbackEvents []string `json:"callbackEvents,omitempty"`
	ChannelEvents  []string `json:"channelEvents,omitempty"`
}

// Bot reads the bot's settings (scope bot or bot.read).
func (c *Client) Bot(ctx context.Context) (Bot, error) {
	var b Bot
	err := c.read(ctx, call{operation: "bot.get", method: http.MethodGet, path: c.botPath(), out: &b})
	return b, err
}

// PatchBot changes the bot's settings (scope bot). Changes of one bot wait
// for each other.
func (c *Client) PatchBot(ctx context.Context, p BotPatch) error {
	if p.CallbackURL != nil && *p.CallbackURL != "" {
		if err := CheckURI(*p.CallbackURL); err != nil {
			return fmt.Errorf("callback URL: %w", err)
		}
	}
	return c.alter(ctx, call{operation: "bot.patch", method: http.MethodPatch, path: c.botPath(), in: p})
}

// SetPersistentMenu shows up to four buttons below the chat's input.
func (c *Client) SetPersistentMenu(ctx context.Context, actions []Action) error {
	if err := errors.Join(checkActions(actions, MaxMenuActions, MaxMenuLabel)...); err != nil {
		return err
	}
	return c.alter(ctx, call{
		operation: "bot.menu.set", method: http.MethodPost, path: c.botPath("persistentmenu"),
		in: map[string]any{"content": map[string]any{"actions": actions}},
	})
}

// PersistentMenu reads the menu; it is empty if none is set.
func (c *Client) PersistentMenu(ctx context.Context) ([]Action, error) {
	var out struct {
		Content struct {
			Actions []menuAction `json:"actions"`
		} `json:"content"`
	}
	err := c.read(ctx, call{operation: "bot.menu.get", method: http.MethodGet, path: c.botPath("persistentmenu"), out: &out})
	if IsNotFound(err) {
		return nil, nil
	}
	var actions []Action
	for _, a := range out.Content.Actions {
		actions = append(actions, a.action())
	}
	return actions, err
}

// menuAction reads an action that was set before.
type menuAction struct {
	wireAction
	Labels []struct {
		Language Language `json:"language"`
		Label    string   `json:"label"`
	} `json:"i18nLabels"`
}

// action turns the wire form back.
func (a menuAction) action() Action {
	label := Words{Text: a.Label}
	for _, v := range a.Labels {
		if label.I18n == nil {
			label.I18n = make(map[Language]string)
		}
		label.I18n[v.Language] = v.Label
	}
	switch a.Type {
	case "message":
		return Press{Label: label, Postback: a.Postback}
	case "uri":
		return Link{Label: label, URI: a.URI}
	}
	return Foreign{Type: a.Type}
}

// Foreign is an action of a menu that somebody else has set, of a kind that
// this package does not write.
type Foreign struct{ Type string }

// MarshalJSON implements json.Marshaler; it always fails.
func (f Foreign) MarshalJSON() ([]byte, error) { return nil, f.validate(0) }

func (f Foreign) validate(int) error {
	return fmt.Errorf("an action of type %q can be read, not written", f.Type)
}

// DeletePersistentMenu takes the menu away; none there is no error.
func (c *Client) DeletePersistentMenu(ctx context.Context) error {
	err := c.alter(ctx, call{operation: "bot.menu.delete", method: http.MethodDelete, path: c.botPath("persistentmenu")})
	if IsNotFound(err) {
		return nil
	}
	return err
}

// alter performs a change of the bot, one at a time. All of them may be
// repeated: they set a state.
func (c *Client) alter(ctx context.Context, k call) error {
	select {
	case c.botTurn <- struct{}{}:
		defer func() { <-c.botTurn }()
	case <-ctx.Done():
		return &TransportError{Operation: k.operation, Err: context.Cause(ctx)}
	}
	return c.read(ctx, k)
}
