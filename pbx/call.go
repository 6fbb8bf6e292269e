package pbx

import (
	"net/netip"
	"slices"
	"time"
)

// CallID names one call for its whole life: in logs, CDRs, the console's URLs
// and the journal. It is opaque, URL-safe and at least 128 bits random, so
// that it cannot be guessed; it is still no credential.
type CallID string

// LegID names one leg of a call; it is unique within the process.
type LegID string

// Direction says where a call crosses the company's border.
type Direction string

// The directions of a call.
const (
	Inbound  Direction = "inbound"  // from a trunk to the company
	Outbound Direction = "outbound" // from the company to a trunk
	Internal Direction = "internal" // extension to extension
)

// Party is one side of a call as people see it.
type Party struct {
	// Number is the number in display form: an extension ("101") or an
	// outside number in national form ("010-1234-5678"); empty if withheld.
	Number string `json:"number"`
	// Name is the display name, possibly empty. For outside callers it comes
	// from the network and must be treated as hostile text.
	Name string `json:"name,omitempty"`
	// Extension is set when the party is an extension of this tenant.
	Extension string `json:"extension,omitempty"`
	// Trunk is set when the party is reached through that trunk.
	Trunk string `json:"trunk,omitempty"`
}

// LegState is how far one leg has come.
type LegState string

// The states of a leg. A leg moves forward only.
const (
	LegTrying    LegState = "trying"    // INVITE sent or received, nothing heard yet
	LegRinging   LegState = "ringing"   // 18x seen or sent
	LegConfirmed LegState = "confirmed" // answered with 2xx
	LegEnded     LegState = "ended"
)

// LegRole says what a leg is for.
type LegRole string

// The roles of a leg.
const (
	RoleCaller   LegRole = "caller"   // the leg that began the call
	RoleDesk     LegRole = "desk"     // a registered phone of an extension
	RoleMobile   LegRole = "mobile"   // an employee's mobile, reached through a trunk
	RoleTrunk    LegRole = "trunk"    // an outside number that was dialled
	RoleCallback LegRole = "callback" // the presser's own phone in a call back (M2C)
)

// Leg is a snapshot of one leg.
type Leg struct {
	ID       LegID     `json:"id"`
	Role     LegRole   `json:"role"`
	State    LegState  `json:"state"`
	Party    Party     `json:"party"`
	Held     bool      `json:"held,omitempty"`
	Created  time.Time `json:"created"`
	Answered time.Time `json:"answered,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
	Cause    Cause     `json:"cause,omitzero"`
	Quality  Quality   `json:"quality,omitzero"`
	// SIPCallID is the Call-ID header of the leg's dialog, for traces.
	SIPCallID string `json:"sipCallID,omitempty"`
}

// CallState is how far a call has come.
type CallState string

// The states of a call.
const (
	CallRouting CallState = "routing" // the dial plan is being followed
	CallRinging CallState = "ringing" // somebody is being alerted
	CallActive  CallState = "active"  // two legs talk
	CallOver    CallState = "over"    // every leg has ended
)

// Call is a snapshot of one call.
type Call struct {
	ID        CallID    `json:"id"`
	Direction Direction `json:"direction"`
	State     CallState `json:"state"`
	From      Party     `json:"from"`
	To        Party     `json:"to"`      // who was dialled
	Dialled   string    `json:"dialled"` // the digits as they came
	Legs      []Leg     `json:"legs"`
	// Offered lists the extensions that this call has rung so far, in order:
	// the people who get a card and may press.
	Offered []string `json:"offered,omitempty"`
	// AnsweredBy is the party that talks with the caller now, or did last.
	AnsweredBy Party     `json:"answeredBy,omitzero"`
	PulledBy   string    `json:"pulledBy,omitempty"` // extension of the last successful pull
	PulledTo   PullTo    `json:"pulledTo,omitempty"`
	Started    time.Time `json:"started"`
	Answered   time.Time `json:"answered,omitzero"`
	Ended      time.Time `json:"ended,omitzero"`
	Cause      Cause     `json:"cause,omitzero"`
	Recording  Recording `json:"recording,omitzero"`
}

// Recording is where a call was recorded. The zero value: it was not.
type Recording struct {
	// File is the recording's path below the tenant's folder of recordings: a
	// stereo WAV, left the caller, right what the caller hears.
	File    string    `json:"file"`
	Started time.Time `json:"started"`
	// Duration is known when the recording has ended.
	Duration time.Duration `json:"duration,omitempty"`
	// Missing is how much of it could not be written, as far as that was known
	// at its end; it is silent there.
	Missing time.Duration `json:"missing,omitempty"`
}

// Leg returns the leg with that ID.
func (c *Call) Leg(id LegID) (Leg, bool) {
	i := slices.IndexFunc(c.Legs, func(l Leg) bool { return l.ID == id })
	if i < 0 {
		return Leg{}, false
	}
	return c.Legs[i], true
}

// Cause says why a leg or a call ended, for machines (SIP status, Q.850) and
// for people (Text, a short English phrase without personal data).
type Cause struct {
	SIP  int    `json:"sip,omitempty"`  // RFC 3261 status code, 0 = none
	Q850 int    `json:"q850,omitempty"` // ITU-T Q.850 cause value, 0 = none
	Text string `json:"text,omitempty"`
	// Elsewhere marks a leg that was cancelled since another one answered:
	// phones then show no missed call (RFC 3326, "Call completed elsewhere").
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// Quality is what RTP and RTCP told about one leg's audio.
type Quality struct {
	PacketsIn  uint64        `json:"packetsIn"`
	PacketsOut uint64        `json:"packetsOut"`
	LostIn     uint64        `json:"lostIn"`    // gaps in the received sequence numbers
	LostOut    uint64        `json:"lostOut"`   // as the peer's receiver reports say
	JitterIn   time.Duration `json:"jitterIn"`  // RFC 3550 §6.4.1 estimate, last value
	JitterOut  time.Duration `json:"jitterOut"` // from the peer's receiver reports
	RoundTrip  time.Duration `json:"roundTrip"` // from LSR/DLSR, 0 = unknown
	Codec      string        `json:"codec,omitempty"`
	// MOSIn and MOSOut estimate what is heard of each direction (see MOS),
	// once the leg is over; 0 = no packet passed.
	MOSIn  float64 `json:"mosIn,omitempty"`
	MOSOut float64 `json:"mosOut,omitempty"`
	// Foreign counts packets from a source that is not the learnt one, dropped;
	// those that the kernel refused for a connected socket are not among them.
	Foreign   uint64 `json:"foreign"`
	Malformed uint64 `json:"malformed"` // packets that are no RTP, dropped
}

// Contact is one registered binding of an address of record: where one phone
// of an extension is reached (RFC 3261 §10).
type Contact struct {
	// ID is stable over refreshes of the same binding.
	ID string `json:"id"`
	// Extension is the user part of the address of record.
	Extension string `json:"extension"`
	// URI is the Contact URI as the phone wrote it, the Request-URI of
	// requests to it.
	URI string `json:"uri"`
	// Source is where the REGISTER came from; requests are sent there, not to
	// a private address in URI.
	Source netip.AddrPort `json:"source"`
	// Transport is "UDP", "TCP", "TLS" or "WSS".
	Transport string `json:"transport"`
	// Path is the Path header's route set (RFC 3327), outermost first.
	Path []string `json:"path,omitempty"`
	// InstanceID and RegID are the +sip.instance and reg-id of RFC 5626.
	InstanceID string `json:"instanceID,omitempty"`
	RegID      int    `json:"regID,omitempty"`
	UserAgent  string `json:"userAgent,omitempty"`
	// CallID and CSeq are those of the last REGISTER (RFC 3261 §10.3 step 7).
	CallID  string    `json:"callID"`
	CSeq    uint32    `json:"cseq"`
	Q       float32   `json:"q"` // preference 0..1
	Expires time.Time `json:"expires"`
}

// congestion is the Q.850 cause of calls above a limit of ours.
const congestion = 42

// Disposition names the outcome: an answered call is answered however it
// ended, any other by its final SIP status.
func (c *Call) Disposition() Disposition {
	switch status := c.Cause.SIP; {
	case !c.Answered.IsZero():
		return Answered
	case status == 486 || status == 600:
		return BusyCalled
	case status == 487, status == 480, status == 408, status == 603, status == 0:
		return Missed
	case status == 503 && c.Cause.Q850 == congestion:
		return Refused
	case status >= 500 && status < 600:
		return FailedCall
	default:
		return Refused
	}
}
