package pbx

import "context"

// PullTo says where a press moves a call.
type PullTo string

// The targets of a pull.
const (
	ToDesk      PullTo = "desk"      // the presser's own registered phones
	ToMobile    PullTo = "mobile"    // the presser's mobile, which must press 1
	ToAssistant PullTo = "assistant" // the A.I. assistant
)

// Pull moves a call that rings, or that the presser's own phone holds, to
// another place. It acts on exactly the call that it names.
type Pull struct {
	Call      CallID
	Extension string // the presser's extension; it must have been offered the call
	To        PullTo
}

// CallBack rings Extension's own phones first and, when one is lifted, calls
// Number ("M2C": message to call).
type CallBack struct {
	Extension string
	Number    string // as people write it: an extension or an outside number
	Name      string // shown on the presser's phone beside Number, may be empty
	After     CallID // the call whose card was pressed, for the CDR; may be empty
}

// Controller is what people and machines may do to calls. All methods return
// as soon as the command was accepted and its first INVITE is on its way, or
// with an *Error that says in one sentence why not. What becomes of an
// accepted pull is told by EventPulled and EventPullFailed.
type Controller interface {
	Pull(ctx context.Context, p Pull) error
	CallBack(ctx context.Context, c CallBack) (CallID, error)
	Hangup(ctx context.Context, id CallID) error
	// Calls returns snapshots of the calls that are not over.
	Calls(ctx context.Context) ([]Call, error)
	// Call returns the snapshot of a live call; ErrGone if it is over.
	Call(ctx context.Context, id CallID) (Call, error)
}
