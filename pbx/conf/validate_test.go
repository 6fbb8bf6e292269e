package conf_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

// secret marks values that no error may show.
const secret = "Tr0ub4dor-and-3"

// authority is a certificate whose key nobody has.
const authority = `-----BEGIN CERTIFICATE-----
MIIBFjCByaADAgECAgEBMAUGAytlcDAaMRgwFgYDVQQDEw9hY21lLmV4YW1wbGUg
Q0EwIBcNMjUwMTAxMDAwMDAwWhgPMjEyNTAxMDEwMDAwMDBaMBoxGDAWBgNVBAMT
D2FjbWUuZXhhbXBsZSBDQTAqMAUGAytlcAMhAHKi1F8AehadK9+B+4jUbAdilJB4
0h5CrPEfq91TTsSZozIwMDAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBQ3P0kw
0WLT5wM9BlkXK0miGFBYpjAFBgMrZXADQQDKRsHvXudCNqshNos2cllikQv34JcC
Or6uw8TYpavFDGXpTRjyZQFc0+/Nd3BZMkWBuDf6aAf3G23rb5zz3VwD
-----END CERTIFICATE-----
`

// good returns a document that uses every field.
func good() *conf.Document {
	return &conf.Document{
		Version: conf.Version, Generation: "7",
		Tenant: conf.Tenant{
			Namespace: "acme", Name: "acme", DisplayName: "에이크미", Domain: "acme.pbx.example.com",
			Locale: "ko-KR", TimeZone: "Asia/Seoul",
		},
		Limits: conf.Limits{Extensions: 10, RegistrationsOperating: 10, RegistrationsMaximum: 20, ConcurrentCalls: 5},
		Network: conf.Network{
			Advertise: map[string][]string{"": {"203.0.113.10"}, "n1": {"203.0.113.11", "2001:db8::11"}},
			Bind:      []string{"0.0.0.0"},
			Ports:     conf.Ports{SIP: 20000, SIPS: 20001, WSS: 20002, HTTP: 20003, Admin: 20004, RTPFrom: 20006, RTPTo: 20045},
		},
		Numbering: conf.Numbering{Country: "KR", AreaCode: "02", OutsidePrefix: "9", Emergency: []string{"112", "119"}},
		Media:     conf.Media{Codecs: []string{"PCMA", "PCMU"}, SRTP: "Optional"},
		Recording: conf.Recording{Mode: "Off"},
		Outbound:  conf.Outbound{Policy: "Domestic", MaxCallsPerMinute: 30, DailyMinutes: 600},
		Web: conf.Web{
			BaseURL: "https://acme.pbx.example.com", Administrators: []string{"haneul@acme.example"},
			TrustedProxies: []string{"10.244.0.0/16", "2001:db8::/64"},
			APIToken:       secret, SessionKey: conf.Secret(strings.Repeat(secret, 3)),
		},
		Database: conf.Database{PostgresDSN: "postgres://pbx:" + secret + "@db.example/acme"},
		Extensions: []conf.Extension{
			{
				Number: "101", DisplayName: "김하늘", WorksUser: "haneul@acme.example", Mobile: "010-1234-5678",
				DIDs: []string{"025550101"}, MaxContacts: 3, Password: secret,
				NoAnswer: conf.Forward{After: conf.Duration(20 * time.Second), To: "102"},
			},
			{Number: "102", MaxContacts: 1, Password: secret},
		},
		Groups: []conf.Group{{
			Number: "600", Strategy: conf.RingAll, Members: []string{"101", "102"},
			Timeout: conf.Duration(25 * time.Second), NoAnswer: "01012345678",
		}},
		Trunks: []conf.Trunk{{
			Name: "kt", Hosts: []conf.TrunkHost{{Host: "sip.carrier.example", Transport: "UDP"}, {Host: "2001:db8::7", Port: 5060, Transport: "TCP"}},
			Register: true, Username: "u", Password: secret, AllowedCIDRs: []string{"198.51.100.0/24"},
			Numbers: []string{"025550100", "025550101"}, CallerID: conf.CallerID{Default: "025550100", Permitted: []string{"02555*"}},
			Codecs: []string{"PCMA"}, Fax: "Off", MaxCalls: 3, CalledFrom: "To", Identity: "From",
		}},
		Flows: []conf.Flow{{
			Name: "main", Numbers: []string{"025550100", "1"}, Open: conf.Action{Dial: "600"}, Closed: conf.Action{Dial: "101"},
			Hours: &conf.Hours{
				Open:     []conf.OpenHours{{Days: []time.Weekday{time.Monday}, From: "10:00", To: "24:00"}},
				Holidays: []string{"2026-05-01"},
			},
		}},
		TrustedCAs: authority,
		Bot: &conf.Bot{
			BotID: 1, DomainID: 2, APIURL: "https://www.worksapis.com/v1.0", AuthURL: "http://127.0.0.1:9080/oauth2/v2.0",
			IssuerURL: "http://[::1]:9080", Scopes: []string{"bot"},
			Credentials: conf.Credentials{
				ClientID: "c", ClientSecret: secret, ServiceAccount: "s", PrivateKey: secret, BotSecret: secret,
			},
		},
	}
}

func TestValidateAcceptsTheWholeDocument(t *testing.T) {
	d := good()
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
	d.Network.Ports = conf.Ports{} // the kernel chooses
	if err := d.Validate(); err != nil {
		t.Errorf("ports of the kernel's choice: %v", err)
	}
}

// spoilt is one way to make a good document wrong, and what Validate says.
type spoilt struct {
	spoil func(d *conf.Document)
	want  string
}

func TestValidateNamesFieldAndCure(t *testing.T) {
	refused(t, []spoilt{
		{func(d *conf.Document) { d.Version = 2 }, "version 2: this program reads version 1"},
		{func(d *conf.Document) { d.Tenant.Namespace = "" }, "tenant.namespace: must not be empty"},
		{func(d *conf.Document) { d.Tenant.Name = "a\r\nb" }, `tenant.name "a\r\nb": must be at most 253 characters without control`},
		{func(d *conf.Document) { d.Tenant.Domain = "a b" }, `tenant.domain "a b": must be a domain name`},
		{func(d *conf.Document) { d.Tenant.TimeZone = "Asia/Soul" }, `tenant.timeZone "Asia/Soul": must be an IANA name`},
		{func(d *conf.Document) { d.Tenant.DisplayName = "\xff" }, `tenant.displayName "\xff"`},
		{func(d *conf.Document) { d.Limits.ConcurrentCalls = 0 }, "limits.concurrentCalls 0: must be 1 to"},
		{func(d *conf.Document) { d.Limits.Extensions = 1 }, "extensions 2: limits.extensions permits 1"},
		{func(d *conf.Document) { d.Network.Advertise = nil }, "network.advertise: must hold an address"},
		{func(d *conf.Document) { d.Network.Advertise["n1"] = nil }, `network.advertise["n1"]: must hold an address`},
		{func(d *conf.Document) { d.Network.Advertise["n1"] = []string{"::"} }, `network.advertise["n1"][0] "::": must be`},
		{func(d *conf.Document) { d.Network.Bind = []string{"eth0"} }, `network.bind[0] "eth0": must be`},
		{func(d *conf.Document) { d.Network.Ports.SIP = 65536 }, "network.ports.sip 65536: must be 0 to 65535"},
		{func(d *conf.Document) { d.Network.Ports.WSS = 20001 }, "network.ports.wss 20001: is also the port of sips"},
		{func(d *conf.Document) { d.Network.Ports.HTTP = 20010 }, "network.ports.http 20010: lies in the RTP range 20006-20045"},
		{func(d *conf.Document) { d.Network.Ports.RTPFrom = 20007 }, `network.ports.rtpFrom "20007-20045": must lie within`},
		{func(d *conf.Document) { d.Limits.ConcurrentCalls = 11 }, `network.ports.rtpTo "20006-20045": is too small for 11 calls`},
		{func(d *conf.Document) { d.Numbering.AreaCode = "2a" }, `numbering.areaCode "2a": must be 2 to 4 digits`},
		{func(d *conf.Document) { d.Numbering.OutsidePrefix = "*" }, `numbering.outsidePrefix "*": must be 0 to 4 digits`},
		{func(d *conf.Document) { d.Numbering.Emergency[1] = "" }, `numbering.emergency[1] "": must be 2 to 6 digits`},
		{func(d *conf.Document) { d.Media.Codecs = nil }, "media.codecs: must hold one of PCMA, PCMU, G722, opus"},
		{func(d *conf.Document) { d.Media.Codecs[1] = "G729" }, `media.codecs[1] "G729": must be one of PCMA, PCMU, G722, opus`},
		{func(d *conf.Document) { d.Media.Codecs[1] = "PCMA" }, `media.codecs[1] "PCMA": must not be there twice`},
		{func(d *conf.Document) { d.Media.SRTP = "On" }, `media.srtp "On": must be one of Disabled, Optional, Required`},
		{func(d *conf.Document) { d.Recording.Mode = "Some" }, `recording.mode "Some": must be one of Off,`},
		{func(d *conf.Document) { d.Recording.Retention = -1 }, "recording.retention -1ns: must not be negative"},
		{func(d *conf.Document) { d.Outbound.Policy = "" }, `outbound.policy "": must be one of None,`},
		{func(d *conf.Document) { d.Outbound.DailyMinutes = -1 }, "outbound.dailyMinutes -1: must be 0 to"},
		{func(d *conf.Document) { d.Web.BaseURL = "http://acme.example" }, `web.baseURL "http://acme.example": must be an https URL`},
		{func(d *conf.Document) { d.Web.BaseURL = "https://acme.example/" }, "web.baseURL"},
		{func(d *conf.Document) { d.Web.TrustedProxies = []string{"10.0.0.0/8", "10.1.2.3"} }, `web.trustedProxies[1] "10.1.2.3": must be a network like`},
		{func(d *conf.Document) { d.Web.TrustedProxies = []string{"0.0.0.0/0"} }, `web.trustedProxies[0] "0.0.0.0/0": must be a network`},
		{func(d *conf.Document) { d.Web.TrustedProxies = []string{"::ffff:10.0.0.0/104"} }, "web.trustedProxies[0]"},
		{func(d *conf.Document) { d.TrustedCAs = secret }, "trustedCAs[0]: must be a certificate in PEM form"},
		{func(d *conf.Document) {
			d.TrustedCAs += "\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
		}, "trustedCAs[1]: must be a certificate"},
		{func(d *conf.Document) { d.TrustedCAs = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----" }, "trustedCAs[0]: is no X.509 certificate"},
		{func(d *conf.Document) { d.TrustedCAs += secret }, "trustedCAs[1]: must be a certificate"},
		{func(d *conf.Document) {
			d.SIPTLS = &conf.SIPTLS{Certificate: d.TrustedCAs, PrivateKey: secret}
		}, "sipTLS.certificate: must be certificates in PEM form with the private key of the first"},
		{func(d *conf.Document) {
			d.SIPTLS = &conf.SIPTLS{Origins: []string{"https://phone.example.com/x"}}
		}, `sipTLS.origins[0] "https://phone.example.com/x": must be https://HOST without a path`},
		{func(d *conf.Document) { d.Web.Administrators[0] = "" }, "web.administrators[0]: must not be empty"},
		{func(d *conf.Document) { d.Web.SessionKey = secret }, "web.sessionKey: must have at least 32 bytes"},
		{func(d *conf.Document) { d.Database.PostgresDSN = secret }, "database.postgresDSN: must be a URL"},
		{func(d *conf.Document) { d.Extensions[1].Number = "1x1" }, `extensions[1].number "1x1": must be 2 to 8 digits`},
		{func(d *conf.Document) { d.Extensions[1].Number = "101" }, `extensions[1].number "101": is the same as extensions[0].number`},
		{func(d *conf.Document) { d.Extensions[0].Number = "103" }, `extensions[1].number "102": must come in ascending order`},
		{func(d *conf.Document) { d.Extensions[0].DisplayName = "a\x00" }, "extensions[0].displayName"},
		{func(d *conf.Document) { d.Extensions[0].Mobile = "mobile" }, `extensions[0].mobile "mobile": must be`},
		{func(d *conf.Document) { d.Extensions[0].MaxContacts = 21 }, "extensions[0].maxContacts 21: must be 1 to 20"},
		{func(d *conf.Document) { d.Extensions[0].Password = "" }, "extensions[0].password: must not be empty"},
		{func(d *conf.Document) { d.Extensions[1].DIDs = []string{"025550101"} }, `extensions[1].dids[0] "025550101": is the same as extensions[0].dids[0]`},
		{func(d *conf.Document) { d.Extensions[0].NoAnswer.After = 1 }, "extensions[0].noAnswer.after 1ns: must be 5s to 180s"},
		{func(d *conf.Document) { d.Extensions[0].NoAnswer.To = "sip:x" }, `extensions[0].noAnswer.to "sip:x": must be`},
	})
}

func TestValidateNamesFieldAndCureOfRouting(t *testing.T) {
	refused(t, []spoilt{
		{func(d *conf.Document) { d.Groups[0].Number = "101" }, `groups[0].number "101": is the same as`},
		{func(d *conf.Document) { d.Groups[0].Strategy = "RoundRobin" }, `groups[0].strategy "RoundRobin": must be one of RingAll, Sequential`},
		{func(d *conf.Document) { d.Groups[0].Members = nil }, "groups[0].members: must name an extension"},
		{func(d *conf.Document) { d.Groups[0].Members[1] = "109" }, `groups[0].members[1] "109": is no extension`},
		{func(d *conf.Document) { d.Groups[0].Members[1] = "101" }, `groups[0].members[1] "101": is named twice`},
		{func(d *conf.Document) { d.Groups[0].NoAnswer = "voicemail" }, `groups[0].noAnswer "voicemail": must be`},
		{func(d *conf.Document) { d.Trunks = append(d.Trunks, d.Trunks[0]) }, `trunks[1].name "kt": is the same as trunks[0].name`},
		{func(d *conf.Document) { d.Trunks[0].Hosts = nil }, "trunks[0].hosts: must name a host"},
		{func(d *conf.Document) { d.Trunks[0].Hosts[0].Host = "a;b" }, `trunks[0].hosts[0].host "a;b": must be a name or an IP address`},
		{func(d *conf.Document) { d.Trunks[0].Hosts[1].Port = -1 }, "trunks[0].hosts[1].port -1: must be 0 to 65535"},
		{func(d *conf.Document) { d.Trunks[0].Hosts[0].Transport = "SCTP" }, `trunks[0].hosts[0].transport "SCTP": must be one of UDP, TCP, TLS`},
		{func(d *conf.Document) { d.Trunks[0].Username = "" }, "trunks[0].username: register needs username and password"},
		{func(d *conf.Document) { d.Trunks[0].AllowedCIDRs[0] = "10.0.0.1" }, `trunks[0].allowedCIDRs[0] "10.0.0.1": must be a network`},
		{func(d *conf.Document) { d.Trunks[0].Numbers[1] = "025550100" }, `trunks[0].numbers[1] "025550100": is the same as trunks[0].numbers[0]`},
		{func(d *conf.Document) { d.Trunks[0].CallerID.Default = "027770100" }, `trunks[0].callerID.default "027770100": is not among permitted`},
		{func(d *conf.Document) { d.Trunks[0].CallerID.Permitted[0] = "*" }, `trunks[0].callerID.permitted[0] "": must be 1 to 15 digits`},
		{func(d *conf.Document) { d.Trunks[0].Codecs = nil }, "trunks[0].codecs: must hold"},
		{func(d *conf.Document) { d.Trunks[0].Fax = "Yes" }, `trunks[0].fax "Yes": must be one of Off, G711, T38`},
		{func(d *conf.Document) { d.Trunks[0].MaxCalls = -1 }, "trunks[0].maxCalls -1: must not be negative"},
		{func(d *conf.Document) { d.Flows[0].Name = "" }, "flows[0].name: must not be empty"},
		{func(d *conf.Document) { d.Flows[0].Numbers = nil }, "flows[0].numbers: must hold a number"},
		{func(d *conf.Document) { d.Flows[0].Numbers[1] = "#" }, `flows[0].numbers[1] "#": must be 1 to 15 digits`},
		{func(d *conf.Document) { d.Flows[0].Numbers[1] = "101" }, `flows[0].numbers[1] "101": is the same as extensions[0].number`},
		{func(d *conf.Document) { d.Flows[0].Open.Dial = "609" }, `flows[0].open.dial "609": is no extension or group`},
		{func(d *conf.Document) { d.Flows[0].Hours.Open[0].Days = nil }, "flows[0].hours.open[0].days: must hold a day"},
		{func(d *conf.Document) { d.Flows[0].Hours.Open[0].Days[0] = 7 }, "flows[0].hours.open[0].days[0] 7: must be 0 to 6"},
		{func(d *conf.Document) { d.Flows[0].Hours.Open[0].From = "9:00" }, `flows[0].hours.open[0] "9:00-24:00": must be two times of day`},
		{func(d *conf.Document) { d.Flows[0].Hours.Holidays[0] = "May" }, `flows[0].hours.holidays[0] "May": must be a day`},
		{func(d *conf.Document) { d.Bot.BotID = 0 }, "bot.botID 0: must be at least 1"},
		{func(d *conf.Document) { d.Bot.DomainID = 0 }, "bot.domainID 0: must be at least 1"},
		{func(d *conf.Document) { d.Bot.AuthURL = "ftp://x" }, `bot.authURL "ftp://x": must be an https URL`},
		{func(d *conf.Document) { d.Bot.Credentials.PrivateKey = "" }, "bot.credentials.privateKey: must not be empty"},
	})
}

func refused(t *testing.T, list []spoilt) {
	t.Helper()
	for _, tc := range list {
		t.Run(tc.want, func(t *testing.T) {
			d := good()
			tc.spoil(d)
			err := d.Validate()
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("want %q, got %v", tc.want, err)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("a secret is shown: %v", err)
			}
		})
	}
}

func TestValidateTellsAllAtOnce(t *testing.T) {
	d := good()
	d.Extensions[0].MaxContacts, d.Groups[0].Strategy, d.Bot.BotID = 0, "", -1
	err := d.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three lines, got %v", err)
	}
	if err := (*conf.Document)(nil).Validate(); err == nil {
		t.Error("no document must not be valid")
	}
}

func TestParse(t *testing.T) {
	raw, err := json.Marshal(good())
	if err != nil {
		t.Fatal(err)
	}
	d, err := conf.Parse(raw)
	if err != nil || !d.Equal(good()) {
		t.Fatalf("a document changes on its way: %v, %v", d, err)
	}
	whole := string(raw)
	for _, tc := range []struct{ name, in, want string }{
		{"empty", "", "document: EOF"},
		{"null", "null", "document: is null"},
		{"no JSON", "{", "document: unexpected EOF"},
		{"unknown field", strings.Replace(whole, `"version"`, `"colour":1,"version"`, 1), `unknown field "colour"`},
		{"more text", whole + "{}", "more text follows"},
		{"another version", strings.Replace(whole, `"version":1`, `"version":2`, 1), "version 2: this program reads version 1"},
		{"wrong type", strings.Replace(whole, `"botID":1`, `"botID":"x"`, 1), "botID: must be of type int64"},
		{"secret of a wrong type", strings.Replace(whole, `"apiToken":"`+secret+`"`, `"apiToken":["`+secret+`"]`, 1), "apiToken: must be of type conf.Secret"},
		{"duration", strings.Replace(whole, `"25s"`, `"soon"`, 1), `duration "soon": must be like`},
		{"duration of a wrong type", strings.Replace(whole, `"25s"`, `25`, 1), `duration 25: must be text`},
		{"invalid", strings.Replace(whole, `"maxContacts":3`, `"maxContacts":99`, 1), "extensions[0].maxContacts 99"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := conf.Parse([]byte(tc.in))
			if err == nil || d != nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want %q, got %v", tc.want, err)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("a secret is shown: %v", err)
			}
		})
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	d := good()
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%t"} {
		for _, v := range []any{d, *d, d.Bot, *d.Bot, d.Web, d.Trunks, d.Web.APIToken} {
			s := fmt.Sprintf(format, v)
			if strings.Contains(s, secret) || strings.Contains(s, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s of %T shows a secret: %s", format, v, s)
			}
		}
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "document", d, "token", d.Web.APIToken)
	if strings.Contains(out.String(), secret) || !strings.Contains(out.String(), "acme/acme generation 7") {
		t.Errorf("log: %s", out.String())
	}
	if got := fmt.Sprint((*conf.Bot)(nil)); got != "no bot" {
		t.Error(got)
	}
	if got := d.String(); got != "acme/acme generation 7: 2 extensions, 1 groups, 1 trunks, 1 flows" {
		t.Error(got)
	}
	if got := (*conf.Document)(nil).String(); got != "no document" {
		t.Error(got)
	}
}

// FuzzParse: what Parse accepts is valid and survives the way to JSON and
// back; nothing makes it panic.
func FuzzParse(f *testing.F) {
	raw, err := json.Marshal(good())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	for _, seed := range []string{"", "null", "{}", `{"version":1}`, `{"version":1,"extensions":[{}],"groups":[{}],"trunks":[{}],"flows":[{"hours":{"open":[{}]}}],"bot":{}}`, `{"version":1,"limits":{"concurrentCalls":9223372036854775807}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := conf.Parse(b)
		if err != nil {
			return
		}
		if err := d.Validate(); err != nil {
			t.Fatalf("parsed and invalid: %v", err)
		}
		out, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := conf.Parse(out)
		if err != nil {
			t.Fatalf("refused its own JSON: %v\n%s", err, out)
		}
		second, err := json.Marshal(again)
		if err != nil || string(second) != string(out) {
			t.Fatalf("changes on its way: %v\n%s\n%s", err, out, second)
		}
	})
}
