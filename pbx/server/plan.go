package server

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/dipcast/dipcast/pbx/conf"
)

// Part is a part of the PBX that is configured by itself.
type Part string

// The parts, in the order in which they are updated.
const (
	PartListeners Part = "listeners" // SIP, RTP and HTTP sockets
	PartSIPTLS    Part = "sipTLS"    // the certificate, and who may use it
	PartDatabase  Part = "database"
	PartTrunks    Part = "trunks"
	PartRouting   Part = "routing" // extensions, groups, flows, numbering, limits
	PartBot       Part = "bot"
	PartWeb       Part = "web"
)

// Decision says what a new document means for one part.
type Decision string

// The decisions, from the least to the most.
const (
	None    Decision = "none"    // nothing changed
	Update  Decision = "update"  // changed while calls go on
	Restart Decision = "restart" // takes a new process; the old state goes on
)

// Plan is the decision for each part.
type Plan map[Part]Decision

// PlanFor compares the running document with a wanted one, for a PBX on that
// node. The error is for a document that must not be applied at all.
func PlanFor(running, wanted *conf.Document, node string) (Plan, error) {
	if err := wanted.Validate(); err != nil {
		return nil, err
	}
	if a, b := running.Tenant, wanted.Tenant; a.Namespace != b.Namespace || a.Name != b.Name {
		return nil, fmt.Errorf("tenant %s/%s: the document is of another tenant, this PBX serves %s/%s",
			b.Namespace, b.Name, a.Namespace, a.Name)
	}
	plan := Plan{
		PartListeners: differs(Restart, sockets(running.Network, node), sockets(wanted.Network, node)),
		PartSIPTLS:    differs(Update, running.SIPTLS, wanted.SIPTLS),
		PartDatabase:  differs(Restart, running.Database, wanted.Database),
		PartTrunks:    differs(Update, running.Trunks, wanted.Trunks),
		PartRouting:   differs(Update, routing(running), routing(wanted)),
		PartBot:       differs(Update, botPart(running), botPart(wanted)),
		PartWeb:       differs(Update, running.Web, wanted.Web),
	}
	if running.TrustedCAs != wanted.TrustedCAs {
		plan[PartWeb], plan[PartTrunks] = Update, Update
	}
	if running.Tenant.Domain != wanted.Tenant.Domain || (running.Bot == nil) != (wanted.Bot == nil) {
		plan[PartWeb] = Update
	}
	return plan, nil
}

// sockets is what a network means on one node. For one that the document no
// longer names it differs, too: there it takes another node.
func sockets(n conf.Network, node string) any {
	return struct {
		Advertise, Bind string
		Ports           conf.Ports
	}{fmt.Sprint(effective(n, node)), fmt.Sprint(n.Bind), n.Ports}
}

func differs(d Decision, a, b any) Decision {
	if reflect.DeepEqual(a, b) {
		return None
	}
	return d
}

// routing is what the dial plan, the registrar and the SIP side read of a
// document; they read it anew for each call.
func routing(d *conf.Document) conf.Document {
	return conf.Document{
		Tenant: d.Tenant, Limits: d.Limits, Numbering: d.Numbering, Media: d.Media, Recording: d.Recording,
		Outbound: d.Outbound, Extensions: d.Extensions, Groups: d.Groups, Flows: d.Flows,
	}
}

// botPart is what cards and presses depend on.
func botPart(d *conf.Document) any {
	return struct {
		Bot        *conf.Bot
		Tenant     conf.Tenant
		BaseURL    string
		Extensions []conf.Extension
		TrustedCAs string
	}{d.Bot, d.Tenant, d.Web.BaseURL, d.Extensions, d.TrustedCAs}
}

// parts lists the parts in order.
func parts() []Part {
	return []Part{PartListeners, PartSIPTLS, PartDatabase, PartTrunks, PartRouting, PartBot, PartWeb}
}

// Restarts lists the parts that keep their old state until the process is
// started again.
func (p Plan) Restarts() (list []Part) {
	for _, part := range parts() {
		if p[part] == Restart {
			list = append(list, part)
		}
	}
	return list
}

// String lists what changes, "nothing" if nothing does.
func (p Plan) String() string {
	var list []string
	for _, part := range parts() {
		if p[part] != None {
			list = append(list, fmt.Sprintf("%s: %s", part, p[part]))
		}
	}
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}
