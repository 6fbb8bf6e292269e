package bot

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/works"
)

// KindClaim is what pressed buttons are called in the journal, by their mark.
const KindClaim = "claim"

// claim names what may happen once: a pull of one kind per call and person,
// wherever it is pressed; a call back per button, since the card of a ringing
// call and that of the missed one are two offers to call back.
type claim struct {
	call      pbx.CallID
	extension string
	action    Action
	button    [16]byte // of a call back only
}

func (t token) claim() claim {
	c := claim{call: t.Call, extension: t.Extension, action: t.Action}
	if t.Action == CallBack {
		c.button = t.ID
	}
	return c
}

// mark is the hash by which a claim is remembered.
type mark [16]byte

func (c claim) mark() mark {
	sum := sha256.Sum256([]byte(string(c.call) + "\x00" + c.extension + "\x00" + string(rune(c.action)) + "\x00" + string(c.button[:])))
	return mark(sum[:])
}

func (m mark) String() string { return hex.EncodeToString(m[:]) }

// pressOf tells one press from another of the same button.
func pressOf(ev works.Event) string {
	sum := sha256.Sum256([]byte(ev.UserID + "\x00" + strconv.FormatInt(ev.Issued.UnixNano(), 10) + "\x00" + ev.Postback))
	return hex.EncodeToString(sum[:16])
}

// pressed is what is remembered of a claim, in memory and in the journal.
type pressed struct {
	At    time.Time `json:"at"`
	Press string    `json:"press"` // of pressOf
	// Done: the engine has taken the command. A press that is not done may come
	// again from an earlier process.
	Done bool `json:"done,omitempty"`
	// Began is the call that the press has begun, until somebody answers it.
	Began pbx.CallID `json:"began,omitempty"`
	left  bool       // by an earlier process
}

// claims are the buttons that were pressed, kept beyond the life of the
// process. Their owner has a lock around them.
type claims struct {
	table *journal.Table[pressed]
	taken *bounded[mark, pressed]
	// callBacks are calls that a press began, to free the button if nobody answers.
	callBacks *bounded[pbx.CallID, mark]
}

// newClaims reads what an earlier process has left.
func newClaims(store journal.Store, now time.Time) *claims {
	c := &claims{
		table:     journal.NewTable[pressed](store, KindClaim),
		taken:     newBounded[mark, pressed](maxClaims),
		callBacks: newBounded[pbx.CallID, mark](maxOffers),
	}
	type found struct {
		mark mark
		*pressed
	}
	var all []found
	for id, p := range c.table.All() {
		raw, err := hex.DecodeString(id)
		if err != nil || len(raw) != len(mark{}) || now.Sub(p.At) > buttonAge {
			c.table.Delete(id)
			continue
		}
		p.left = true
		all = append(all, found{mark(raw), p})
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Press, b.Press)) })
	for _, f := range all {
		c.taken.put(f.mark, *f.pressed)
		if f.Began != "" {
			c.callBacks.put(f.Began, f.mark)
		}
	}
	return c
}

// put remembers a claim. A journal that fails tells so by itself: the button
// then works a second time after a restart, at worst.
func (c *claims) put(m mark, p pressed) {
	_, _ = c.table.Put(m.String(), &p, 0)
	c.taken.put(m, p)
}

// take notes a press; false if the button was pressed before. The very press
// that an earlier process has not brought to its end is taken once more.
func (c *claims) take(m mark, press string, now time.Time) bool {
	c.expire(now)
	if p, ok := c.taken.get(m); ok && (p.Done || !p.left || p.Press != press) {
		return false
	}
	c.put(m, pressed{At: now, Press: press})
	return true
}

// expire forgets buttons that are too old to do anything, and the oldest one
// if there is no room for another.
func (c *claims) expire(now time.Time) {
	for {
		m, p, ok := c.taken.oldest()
		if !ok || c.taken.size() < maxClaims && now.Sub(p.At) <= buttonAge {
			return
		}
		c.release(m)
	}
}

// done notes that the engine has taken the command, and the call that it has
// begun for it, if there is one.
func (c *claims) done(m mark, began pbx.CallID) {
	p, ok := c.taken.get(m)
	if !ok {
		return // the call back is over already
	}
	p.Done, p.Began, p.left = true, began, false
	c.put(m, p)
	if began != "" {
		c.callBacks.put(began, m)
	}
}

// release makes a button good for another try.
func (c *claims) release(m mark) {
	c.taken.remove(m)
	c.table.Delete(m.String())
}

// over takes the end of a call. A call back that came to nothing frees its
// button.
func (c *claims) over(call pbx.CallID, answered bool) {
	m, ok := c.callBacks.get(call)
	if !ok {
		return
	}
	c.callBacks.remove(call)
	if !answered {
		c.release(m)
		return
	}
	if p, ok := c.taken.get(m); ok {
		p.Began = ""
		c.put(m, p)
	}
}

// unanswered are the calls that presses of an earlier process have begun and
// nobody had answered.
func (c *claims) unanswered() (calls []pbx.CallID) {
	for call, m := range c.callBacks.all() {
		if p, ok := c.taken.get(m); ok && p.left {
			calls = append(calls, call)
		}
	}
	return calls
}

// take notes a press; false if it was made before.
func (b *Bot) take(k claim, press string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.claims.take(k.mark(), press, b.opts.Now())
}

func (b *Bot) done(k claim, began pbx.CallID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.claims.done(k.mark(), began)
}

func (b *Bot) release(k claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.claims.release(k.mark())
}

// callOver frees the button of a call back that came to nothing, so that it
// can be tried again.
func (b *Bot) callOver(c pbx.Call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.claims.over(c.ID, !c.Answered.IsZero())
}

// freeLost frees the buttons of calls back that rang when the process before
// died: nobody has answered them, and they are gone.
func (b *Bot) freeLost(ctx context.Context) {
	b.mu.Lock()
	calls := b.claims.unanswered()
	b.mu.Unlock()
	for _, id := range calls {
		if _, err := b.opts.Control.Call(ctx, id); errors.Is(err, pbx.ErrGone) {
			b.callOver(pbx.Call{ID: id})
		}
	}
}
