package conf

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Version is the version of the document that this program reads and writes.
// A PBX refuses documents of another version and goes on with its last one.
const Version = 1

// Document describes one tenant completely.
type Document struct {
	Version int `json:"version"`
	// Generation names this document among all of its tenant: the PBX reports
	// the one that it runs.
	Generation string      `json:"generation"`
	Tenant     Tenant      `json:"tenant"`
	Limits     Limits      `json:"limits"`
	Network    Network     `json:"network"`
	Numbering  Numbering   `json:"numbering"`
	Media      Media       `json:"media"`
	Recording  Recording   `json:"recording"`
	Outbound   Outbound    `json:"outbound"`
	Web        Web         `json:"web"`
	Database   Database    `json:"database"`
	Extensions []Extension `json:"extensions"` // by number, ascending
	Groups     []Group     `json:"groups"`     // by number, ascending
	Trunks     []Trunk     `json:"trunks"`     // by name, ascending
	Flows      []Flow      `json:"flows"`      // by name, ascending
	Bot        *Bot        `json:"bot,omitempty"`
	// SIPTLS serves SIP over TLS and over secure WebSocket; nil = neither.
	SIPTLS *SIPTLS `json:"sipTLS,omitempty"`
	// TrustedCAs are PEM certificates that are trusted beside the system's for
	// connections to NAVER WORKS, for networks with an inspecting proxy, and for
	// those to trunks over TLS.
	TrustedCAs string `json:"trustedCAs,omitempty"`
}

// Tenant is who the document is about.
type Tenant struct {
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
	// Domain is the SIP domain and digest realm, and the host of the console.
	Domain   string `json:"domain"`
	Locale   string `json:"locale"`   // BCP 47, e.g. "ko-KR"
	TimeZone string `json:"timeZone"` // IANA name, e.g. "Asia/Seoul"
	// Suspend closes outbound calls; inbound and emergency calls stay open.
	Suspend bool `json:"suspend,omitempty"`
}

// Limits are the product's limits for this tenant; all are at least 1.
type Limits struct {
	Extensions             int `json:"extensions"`
	RegistrationsOperating int `json:"registrationsOperating"` // above: a warning
	RegistrationsMaximum   int `json:"registrationsMaximum"`   // above: refused
	ConcurrentCalls        int `json:"concurrentCalls"`
}

// Network is where the PBX listens and what address it tells others.
type Network struct {
	// Advertise maps a node's name to the addresses written into SIP and SDP
	// there, IPv4 and/or IPv6; "" is the entry for a PBX without a node name.
	Advertise map[string][]string `json:"advertise"`
	// Bind lists the addresses to listen on; empty means every address for
	// SIP and RTP. HTTP binds to the first advertised address or loopback,
	// never to every address.
	Bind  []string `json:"bind,omitempty"`
	Ports Ports    `json:"ports"`
}

// Ports are the host ports of the tenant's slot. Port 0 of Admin and HTTP
// asks the kernel for a free one.
type Ports struct {
	SIP   int `json:"sip"` // UDP and TCP
	SIPS  int `json:"sips"`
	WSS   int `json:"wss"`
	HTTP  int `json:"http"`
	Admin int `json:"admin"` // metrics and health, loopback or node-internal
	// RTPFrom..RTPTo, both included; RTPFrom is even. Four ports a call are
	// in use, the rest rest before reuse.
	RTPFrom int `json:"rtpFrom"`
	RTPTo   int `json:"rtpTo"`
}

// SIPTLS is the certificate of SIP over TLS and over secure WebSocket, and who
// may use the latter.
type SIPTLS struct {
	Certificate string `json:"certificate"` // PEM, the PBX's own first, then its issuers'
	PrivateKey  Secret `json:"privateKey"`  // PEM
	// Origins are web pages, beside the console, from which browsers may connect
	// as phones, e.g. "https://phone.example.com".
	Origins []string `json:"origins,omitempty"`
}

// Numbering is how people of this tenant dial.
type Numbering struct {
	Country       string   `json:"country"`       // ISO 3166-1 alpha-2, "KR"
	AreaCode      string   `json:"areaCode"`      // with the trunk 0, "02"
	OutsidePrefix string   `json:"outsidePrefix"` // digits dialled for an outside line, may be empty
	Emergency     []string `json:"emergency"`     // dialled with or without the prefix, always permitted
}

// CodecsOf are the codecs for legs over a trunk, or to phones if it is empty, in
// order of preference.
func (d *Document) CodecsOf(trunk string) []string {
	if i := slices.IndexFunc(d.Trunks, func(t Trunk) bool { return t.Name == trunk }); i >= 0 {
		if c := d.Trunks[i].Codecs; len(c) > 0 {
			return c
		}
	}
	if len(d.Media.Codecs) > 0 {
		return d.Media.Codecs
	}
	return []string{"PCMA", "PCMU"}
}

// IsEmergency reports whether an emergency number was dialled, with or without
// the outside prefix.
func (n *Numbering) IsEmergency(dialled string) bool {
	return slices.Contains(n.Emergency, dialled) ||
		n.OutsidePrefix != "" && slices.Contains(n.Emergency, strings.TrimPrefix(dialled, n.OutsidePrefix))
}

// Media is what audio the tenant's calls may use.
type Media struct {
	Codecs []string `json:"codecs"` // in order of preference: PCMA, PCMU, G722, opus
	SRTP   string   `json:"srtp"`   // Disabled, Optional, Required, with keys in SDP (RFC 4568) or by DTLS (RFC 5763)
}

// Recording is which calls are recorded.
type Recording struct {
	Mode      string   `json:"mode"` // Off, OnDemand, All
	Retention Duration `json:"retention,omitempty"`
}

// Outbound guards the tenant's outbound calls against fraud.
type Outbound struct {
	Policy            string `json:"policy"`            // None, Internal, Domestic, International
	MaxCallsPerMinute int    `json:"maxCallsPerMinute"` // 0 = no limit
	DailyMinutes      int    `json:"dailyMinutes"`      // 0 = no limit
}

// Web is the console, the REST interface and the callback endpoint.
type Web struct {
	// BaseURL is the public URL of the console without a trailing slash,
	// e.g. "https://acme.pbx.example.com".
	BaseURL string `json:"baseURL"`
	// Administrators are NAVER WORKS users (login e-mail or user ID) who see
	// every call of the tenant.
	Administrators []string `json:"administrators,omitempty"`
	APIToken       Secret   `json:"apiToken,omitempty"`   // bearer token of the REST interface
	SessionKey     Secret   `json:"sessionKey,omitempty"` // signs the console's cookies, 32+ bytes
	// TrustedProxies are CIDRs of reverse proxies, beside loopback, whose
	// X-Forwarded-For is believed when sources are told apart.
	TrustedProxies []string `json:"trustedProxies,omitempty"`
}

// Database is where CDRs and registrations live.
type Database struct {
	// PostgresDSN is a PostgreSQL URL; empty means SQLite in the data folder.
	PostgresDSN Secret `json:"postgresDSN,omitempty"`
}

// Extension is one number with its phones and, often, its person.
type Extension struct {
	Number      string   `json:"number"`
	DisplayName string   `json:"displayName,omitempty"`
	WorksUser   string   `json:"worksUser,omitempty"` // login e-mail or user ID
	Mobile      string   `json:"mobile,omitempty"`    // national form, digits and hyphens
	DIDs        []string `json:"dids,omitempty"`      // national digits, "025550101"
	MaxContacts int      `json:"maxContacts"`         // 1..20
	Password    Secret   `json:"password"`
	NoAnswer    Forward  `json:"noAnswer,omitzero"`
	AutoAnswer  bool     `json:"autoAnswer,omitempty"` // pulled calls ask the phone to answer by itself
}

// Forward is where an unanswered call goes.
type Forward struct {
	After Duration `json:"after,omitempty"` // 5s..180s; 0 = the default of 30 s
	To    string   `json:"to,omitempty"`    // a number, or empty: the call ends
}

// Strategy is the order in which a group rings.
type Strategy string

// The strategies of a group.
const (
	RingAll    Strategy = "RingAll"
	Sequential Strategy = "Sequential"
)

// Group is a number that rings several extensions.
type Group struct {
	Number      string   `json:"number"`
	DisplayName string   `json:"displayName,omitempty"`
	Strategy    Strategy `json:"strategy"`
	Members     []string `json:"members"`            // extension numbers, in order
	Timeout     Duration `json:"timeout"`            // of the group (RingAll), of each member (Sequential)
	NoAnswer    string   `json:"noAnswer,omitempty"` // a number, or empty: the call ends
}

// Trunk is one telephone company's line.
type Trunk struct {
	Name  string      `json:"name"`
	Hosts []TrunkHost `json:"hosts"` // in order of trial
	// Register sends REGISTER with Username and Password; without it the
	// trunk knows us, and we know it, by IP address.
	Register bool   `json:"register,omitempty"`
	Username string `json:"username,omitempty"`
	Password Secret `json:"password,omitempty"`
	Realm    string `json:"realm,omitempty"` // the only realm whose challenge is answered; empty: the first host's name or the realm first seen from it
	// AllowedCIDRs are networks, beside the hosts themselves, from which the
	// trunk's calls may come.
	AllowedCIDRs []string `json:"allowedCIDRs,omitempty"`
	Numbers      []string `json:"numbers"` // DIDs that arrive here, national digits
	CallerID     CallerID `json:"callerID"`
	Codecs       []string `json:"codecs"`
	Fax          string   `json:"fax,omitempty"` // T38, G711, Off
	MaxCalls     int      `json:"maxCalls"`      // 0 = the class limit
	// CalledFrom says where an incoming INVITE names the called number:
	// RequestURI (default), To, PCalledPartyID.
	CalledFrom string `json:"calledFrom,omitempty"`
	// Identity says how the caller number is presented: From (default),
	// PAssertedIdentity (From and PAI).
	Identity string `json:"identity,omitempty"`
}

// TrunkHost is one address of a trunk.
type TrunkHost struct {
	Host      string `json:"host"`      // name or IP address
	Port      int    `json:"port"`      // 0 = SRV, then 5060, or 5061 with TLS
	Transport string `json:"transport"` // UDP, TCP, TLS
	Weight    int    `json:"weight,omitempty"`
}

// CallerID is what caller numbers may be presented on a trunk.
type CallerID struct {
	Default   string   `json:"default"`   // national digits
	Permitted []string `json:"permitted"` // national digits, a trailing * matches any rest
}

// Flow says where some numbers lead.
type Flow struct {
	Name    string   `json:"name"`
	Numbers []string `json:"numbers"`         // DIDs (national digits) or internal numbers
	Hours   *Hours   `json:"hours,omitempty"` // nil = always open
	Open    Action   `json:"open"`
	Closed  Action   `json:"closed,omitzero"`
}

// Hours are business hours in the tenant's time zone.
type Hours struct {
	Open []OpenHours `json:"open"`
	// Holidays are closed days, "2006-01-02".
	Holidays []string `json:"holidays,omitempty"`
}

// OpenHours are the same hours on some days of the week.
type OpenHours struct {
	Days []time.Weekday `json:"days"`
	From string         `json:"from"` // "10:00"
	To   string         `json:"to"`   // "18:00", exclusive; "24:00" is allowed
}

// Action is what a flow does. Exactly one field is set; the zero Action ends
// the call with 480.
type Action struct {
	Dial string `json:"dial,omitempty"` // an extension or a group
}

// Bot is the tenant's NAVER WORKS bot.
type Bot struct {
	BotID       int64       `json:"botID"`
	DomainID    int64       `json:"domainID"`
	APIURL      string      `json:"apiURL"`    // https://www.worksapis.com/v1.0
	AuthURL     string      `json:"authURL"`   // https://auth.worksmobile.com/oauth2/v2.0
	IssuerURL   string      `json:"issuerURL"` // OpenID Connect issuer, https://auth.worksmobile.com
	Scopes      []string    `json:"scopes"`
	Credentials Credentials `json:"credentials"`
	Cards       Cards       `json:"cards"`
	// Manage lets the PBX's starter (operator or `dipcast up`) set the
	// callback URL, the callback events and the persistent menu.
	Manage bool `json:"manage,omitempty"`
}

// Credentials are the five values of the bot's Secret.
type Credentials struct {
	ClientID       string `json:"clientID"`
	ClientSecret   Secret `json:"clientSecret"`
	ServiceAccount string `json:"serviceAccount"`
	PrivateKey     Secret `json:"privateKey"` // PKCS#8 PEM
	BotSecret      Secret `json:"botSecret"`  // HMAC key of callbacks
}

// Cards says which notices are sent.
type Cards struct {
	External  bool `json:"external"`
	Internal  bool `json:"internal"`
	Missed    bool `json:"missed"`
	Fax       bool `json:"fax"`
	Voicemail bool `json:"voicemail"`
}

// Equal reports whether two documents say the same, the generation included.
func (d *Document) Equal(o *Document) bool { return reflect.DeepEqual(d, o) }

// String names the document for logs; it holds no secret.
func (d *Document) String() string {
	if d == nil {
		return "no document"
	}
	return fmt.Sprintf("%s/%s generation %s: %d extensions, %d groups, %d trunks, %d flows",
		d.Tenant.Namespace, d.Tenant.Name, d.Generation,
		len(d.Extensions), len(d.Groups), len(d.Trunks), len(d.Flows))
}

// Secret is a value that must not be shown: every form of printing and
// logging yields "[redacted]", only JSON carries it. Use Reveal where it is
// needed.
type Secret string

// Reveal returns the secret value.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (Secret) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "[redacted]" }

// Duration is a time.Duration that JSON carries as text ("20s").
type Duration time.Duration

// D returns the plain duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("duration %s: must be text like \"20s\"", b)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("duration %q: must be like \"20s\" or \"1m30s\"", s)
	}
	*d = Duration(v)
	return nil
}
