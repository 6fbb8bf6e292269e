package conf

import (
	"fmt"
	"time"
)

// Paths of the admin listener that the operator uses. Both want the bearer
// token Web.APIToken.
const (
	// PathReport answers GET with a Report.
	PathReport = "/report"
	// PathDrain answers POST of a Drain with the Report after it; with IfIdle
	// and calls up it answers 409 Conflict and changes nothing. DELETE ends a
	// drain: new calls are taken again.
	PathDrain = "/drain"
)

// Report is what a running PBX tells its starter about itself: JSON, without
// secrets, numbers or names of people.
type Report struct {
	Version    int    `json:"version"`    // of this form: ReportVersion
	Tenant     string `json:"tenant"`     // NAMESPACE/NAME of the company it serves
	Program    string `json:"program"`    // version of the program
	Generation string `json:"generation"` // of the document in force
	// Refused says why the newest document that was seen is not in force;
	// RefusedGeneration names it, empty if it could not even be read.
	Refused           string `json:"refused,omitempty"`
	RefusedGeneration string `json:"refusedGeneration,omitempty"`
	// Restart lists parts of the document that only a new process takes over.
	Restart  []string `json:"restart,omitempty"`
	Draining bool     `json:"draining,omitempty"` // new calls are refused
	// Overload says which new calls are refused since there is too much to do,
	// and what there is too much of: stable text, no number in it.
	Overload string `json:"overload,omitempty"`
	// Scarce names what there is too little of while Overload says something.
	Scarce Scarce `json:"scarce,omitempty"`
	// ActiveCalls are all calls that have not ended; Registrations count every
	// registered phone.
	ActiveCalls   int `json:"activeCalls"`
	Registrations int `json:"registrations"`
	// Journal is the version of the journal in which the calls that are up
	// outlive this process: JournalVersion, or 0 if they end with it.
	Journal int `json:"journal,omitempty"`
	// Linger is how long it goes on after SIGTERM until another process waits for
	// its place, unless it refuses new calls; 0 = it makes room at once.
	Linger     Duration      `json:"linger,omitzero"`
	Trunks     []TrunkReport `json:"trunks,omitempty"` // by name
	DatabaseUp bool          `json:"databaseUp"`
}

// Scarce is what a PBX has too little of, in one word.
type Scarce string

// What may be scarce.
const (
	ScarceProcessor    Scarce = "Processor"
	ScarceMemory       Scarce = "Memory"
	ScarceMedia        Scarce = "Media"        // the media runs late
	ScarceTransactions Scarce = "Transactions" // the places for SIP transactions
)

// ReportVersion is the version of Report that this program writes.
const ReportVersion = 1

// JournalVersion is the version of the journal of calls that this program writes
// and, with all before it, takes up.
const JournalVersion = 1

// Check is what `pbx --check` leaves in a container's termination message: what
// the program is that has read the document.
type Check struct {
	Program string `json:"program"` // version of the program
	// Journal is the newest version of the journal that it takes up calls from;
	// 0: none.
	Journal int `json:"journal,omitempty"`
}

// TrunkReport is the state of one trunk.
type TrunkReport struct {
	Name string `json:"name"`
	Up   bool   `json:"up"`             // it can take a call now
	Why  string `json:"why,omitempty"`  // why it is down: stable text, no time in it
	Host string `json:"host,omitempty"` // that is in use now
}

// Drain asks a PBX to take no new calls, so that it can be replaced. It ends
// by itself after Hold: whoever asked may have died.
type Drain struct {
	// IfIdle drains only if no call is up at this moment.
	IfIdle bool `json:"ifIdle,omitempty"`
	// EndCallsAfter ends the calls that are still up then, each with its BYE
	// and its record; 0 = they may go on. It is less than Hold. Calls to
	// emergency numbers are let out all the while and are not ended.
	EndCallsAfter Duration `json:"endCallsAfter,omitempty"`
	// Hold is how long new calls are refused; 1s..24h.
	Hold Duration `json:"hold"`
	// Final says that no process takes this PBX's place: while the drain is in
	// force SIGTERM lets the calls end, for at most the program's --drain, and
	// ends what is left with its BYE. Otherwise SIGTERM hands the calls over to
	// the next process.
	Final bool `json:"final,omitempty"`
}

// Validate reports a duration out of its range.
func (d Drain) Validate() error {
	if d.Hold.D() < MinHold || d.Hold.D() > MaxHold {
		return fmt.Errorf("hold %s: must be %s to %s", d.Hold, MinHold, MaxHold)
	}
	if d.EndCallsAfter < 0 || d.EndCallsAfter >= d.Hold {
		return fmt.Errorf("endCallsAfter %s: must not be negative and must be less than the hold of %s", d.EndCallsAfter, d.Hold)
	}
	return nil
}

// The ends of Drain.Hold.
const (
	MinHold = time.Second
	MaxHold = 24 * time.Hour
)
