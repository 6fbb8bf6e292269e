package works

import (
	"context"
	"fmt"
	"net/http"
)

// SendMessage sends one message to one user, now, and tries only once (twice
// after a 401): the API has no message ID, so that repeating could show it
// twice. Use a Queue for everything that a call causes.
func (c *Client) SendMessage(ctx context.Context, user string, content Content) error {
	if err := content.Validate(); err != nil {
		return fmt.Errorf("bot message: %w", err)
	}
	return c.do(ctx, call{
		operation: "bot.message.user",
		method:    http.MethodPost,
		path:      c.botPath("users", user, "messages"),
		in:        map[string]any{"content": content},
	})
}
