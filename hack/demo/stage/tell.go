package stage

import (
	"fmt"
	"io"
	"time"
)

// Teller tells people what happens.
type Teller struct {
	Out io.Writer
	// Began, if set, puts the time since before each step.
	Began time.Time
}

// Step prints one line of what happens.
func (t Teller) Step(format string, args ...any) {
	if !t.Began.IsZero() {
		fmt.Fprintf(t.Out, "%6.1f s ", time.Since(t.Began).Seconds())
	}
	fmt.Fprintf(t.Out, "▶ "+format+"\n", args...)
}

// Note prints a detail of a step.
func (t Teller) Note(format string, args ...any) {
	indent := "    "
	if !t.Began.IsZero() {
		indent += "         "
	}
	fmt.Fprintf(t.Out, indent+format+"\n", args...)
}
