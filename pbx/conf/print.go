package conf

import (
	"fmt"
	"io"
	"log/slog"
)

// Format implements fmt.Formatter, so that verbs which fmt would complain
// about ("%d") hide the value, too.
func (s Secret) Format(f fmt.State, _ rune) { writeText(f, s.String()) }

// LogValue implements slog.LogValuer: handlers that write JSON show no more
// than others.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Format implements fmt.Formatter. Without it fmt prints what stands behind a
// pointer inside a struct without asking the values how, secrets included,
// when the verb does not suit pointers ("%s").
func (b *Bot) Format(f fmt.State, _ rune) {
	if b == nil {
		writeText(f, "no bot")
		return
	}
	writeText(f, fmt.Sprintf("bot %d of domain %d", b.BotID, b.DomainID))
}

// LogValue implements slog.LogValuer; it holds no secret.
func (d *Document) LogValue() slog.Value { return slog.StringValue(d.String()) }

// writeText writes to a fmt.State, which takes everything.
func writeText(w io.Writer, s string) { _, _ = io.WriteString(w, s) }
