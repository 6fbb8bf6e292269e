package fields

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/kubetest"
)

const warning = metav1.ConditionTrue

func lies() []lie {
	var out []lie
	for _, list := range [][]lie{classLies(), tenantLies(), servingLies(), planLies(), memberLies(), trunkLies(), flowLies(), botLies()} {
		out = append(out, list...)
	}
	return out
}

// ours is an object that is made beside a company's own.
func ours(kind, name string, spec map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion().WithKind(kind))
	u.SetName(name)
	return u
}

type m = map[string]any

func classSpec(more m) m {
	out := m{
		"limits":  m{"extensions": int64(10), "registrations": m{"operating": int64(5), "maximum": int64(5)}, "concurrentCalls": int64(2)},
		"network": m{"portPool": m{"from": int64(30000), "to": int64(30099)}, "advertise": m{"from": "NodeInternalIP"}},
	}
	for key, value := range more {
		out[key] = value
	}
	return out
}

func classLies() []lie {
	const kind = v1alpha1.KindPBXClass
	return []lie{
		{kind: kind, name: "pool of another", with: []*unstructured.Unstructured{
			ours(kind, "other", classSpec(m{"network": m{"advertise": m{"from": "NodeInternalIP"}}})),
		}, says: []string{"spec.network.portPool 1", "overlaps the pool", "give each class its own range"}},
		{kind: kind, name: "second default", with: []*unstructured.Unstructured{
			ours(kind, "a-default", classSpec(m{"default": true})),
			ours(kind, "b-default", classSpec(m{"default": true, "network": m{"portPool": m{"from": int64(30100), "to": int64(30199)}}})),
		}, says: []string{"spec.default true", "set it on one class only"}, about: []string{"spec.default"}},
		{
			kind: kind, name: "pool without a slot", set: m{"spec.limits.concurrentCalls": int64(1000)},
			says: []string{"spec.network.portPool", "widen the pool or lower concurrentCalls"},
		},
		{
			kind: kind, name: "fewer extensions than there are", set: m{"spec.limits.extensions": int64(2)}, on: v1alpha1.KindPBXTenant,
			says: []string{"spec.className", "remove 1 or choose a larger class"},
		},
		{
			kind: kind, name: "no such address", set: m{"spec.network.advertise.from": "NodeExternalIP"}, status: warning,
			says: []string{"spec.network.advertise.from NodeExternalIP", "choose NodeInternalIP, or Static"},
		},
		{
			kind: kind, name: "no such node", set: m{"spec.scheduling.nodeSelector.pool": "elsewhere"}, status: warning,
			says: []string{"spec.scheduling", "label a node or change nodeSelector"},
		},
		{
			kind: kind, name: "no label", set: m{"spec.scheduling.nodeSelector": m{"no label!": "x"}},
			says: []string{`spec.scheduling.nodeSelector "no label!"`, "must"},
		},
		{
			kind: kind, name: "no label's value", set: m{"spec.scheduling.nodeSelector": m{"pool": "no value!"}},
			says: []string{`spec.scheduling.nodeSelector[pool] "no value!"`, "must"},
		},
		{
			kind: kind, name: "toleration of no label", set: m{"spec.scheduling.tolerations": []any{m{"key": "no label!", "operator": "Exists"}}},
			says: []string{`spec.scheduling.tolerations[0].key "no label!"`, "must"},
		},
		{
			kind: kind, name: "toleration of no value", set: m{"spec.scheduling.tolerations": []any{m{"key": "phones", "value": "no value!"}}},
			says: []string{`spec.scheduling.tolerations[0].value "no value!"`, "must"},
		},
		{
			kind: kind, name: "toleration of no number", set: m{"spec.scheduling.tolerations": []any{m{"key": "phones", "operator": "Lt", "value": "few"}}},
			says: []string{`spec.scheduling.tolerations[0].value few`, "must"},
		},
		{
			kind: kind, name: "image that does not exist", set: m{"spec.image": "registry.example/pbx:" + kubetest.Missing},
			on: v1alpha1.KindPBXTenant, condition: v1alpha1.ConditionUpdating, status: warning,
			says: []string{"image registry.example/pbx:" + kubetest.Missing, "the PBX goes on with the one it has", "put the name right (spec.image of the class"},
		},
	}
}

func tenantLies() []lie {
	const kind = v1alpha1.KindPBXTenant
	plan := v1alpha1.KindExtensionPlan
	return []lie{
		{kind: kind, name: "no such class", set: m{"spec.className": "nosuch"}, says: []string{"spec.className nosuch", "create it or name another one"}},
		{
			kind: kind, name: "domain of another", with: []*unstructured.Unstructured{ours(kind, "rival", m{})},
			says: []string{"spec.domain", "choose another one"}, about: []string{"spec.domain"},
		},
		{kind: kind, name: "no language", set: m{"spec.locale": "Klingon!"}, says: []string{"spec.locale Klingon!", "write one such as ko-KR"}},
		{
			kind: kind, name: "language without texts", set: m{"spec.locale": "fr-FR"}, status: warning, follows: true,
			says: []string{"spec.locale fr-FR", "ko, en and ja are served"},
		},
		{kind: kind, name: "no time zone", set: m{"spec.timeZone": "Asia/Soul"}, says: []string{"spec.timeZone Asia/Soul", "write an IANA name"}},
		{
			kind: kind, name: "prefix of extensions", set: m{"spec.numbering.outsidePrefix": "1"}, on: plan,
			says: []string{"spec.extensions[0].number 101", "outsidePrefix"},
		},
		{
			kind: kind, name: "emergency missing", set: m{"spec.numbering.emergency": []any{"112"}}, status: warning, follows: true,
			says: []string{"spec.numbering.emergency 112", "add it"},
		},
		{
			kind: kind, name: "emergency is an extension", set: m{"spec.numbering.emergency": []any{"112", "119", "101"}}, on: plan,
			says: []string{"spec.extensions[0].number 101", "spec.numbering.emergency"},
		},
		{
			kind: kind, name: "no codec that everybody knows", set: m{"spec.media.codecs": []any{"opus"}}, status: warning, follows: true,
			says: []string{"spec.media.codecs opus", "add PCMA"},
		},
		{
			kind: kind, name: "retention not served", set: m{"spec.recording.mode": "All"}, status: warning, follows: true,
			says: []string{"spec.recording.retention", "kept until somebody deletes them"}, about: []string{"spec.recording.retention"},
		},
		{
			kind: kind, name: "recording on demand not served", set: m{"spec.recording.mode": "OnDemand"}, status: warning,
			says: []string{"spec.recording.mode OnDemand", "calls are not recorded"},
		},
		{
			kind: kind, name: "key of recordings", set: m{"spec.recording.encryptionKeyRef": m{"name": "nosuch"}}, status: warning,
			says: []string{"spec.recording.encryptionKeyRef.name nosuch", "not served yet"}, about: []string{"spec.recording.encryptionKeyRef.name"},
		},
	}
}

// servingLies are those about where a tenant is reached and what it stores.
func servingLies() []lie {
	const kind = v1alpha1.KindPBXTenant
	return []lie{
		{
			kind: kind, name: "certificate of SIP missing", set: m{"spec.sipTLS": m{"secretRef": m{"name": "nosuch"}}}, status: warning,
			says: []string{"spec.sipTLS.secretRef.name nosuch", "create it with the keys tls.crt and tls.key"}, about: []string{"spec.sipTLS.secretRef.name"},
		},
		{
			kind: kind, on: kind, name: "certificate of SIP broken", set: m{"spec.sipTLS": m{"secretRef": m{"name": "broken"}}},
			secrets: map[string]map[string]string{"broken": {"tls.crt": "x", "tls.key": "y"}},
			says:    []string{"spec.sipTLS.secretRef.name broken", "is no certificate with its private key"},
		},
		{
			kind: kind, name: "browser phones without a certificate", set: m{"spec.web.phoneOrigins": []any{"https://phone.example.com"}}, status: warning,
			says: []string{"spec.web.phoneOrigins", "set spec.sipTLS"},
		},
		{
			kind: kind, name: "SIP issuer without cert-manager", set: m{"spec.sipTLS": m{"issuerRef": m{"name": "nosuch"}}}, condition: v1alpha1.ConditionExposed,
			says: []string{"spec.sipTLS.issuerRef", "install it, or give the certificate in a secretRef"}, about: []string{"spec.sipTLS.issuerRef.name"},
		},
		{
			kind: kind, name: "issuer without cert-manager", set: m{"spec.web.tls": m{"issuerRef": m{"name": "nosuch"}}}, condition: v1alpha1.ConditionExposed,
			says: []string{"spec.web.tls.issuerRef", "install it, or give the certificate in a secretRef"}, about: []string{"spec.web.tls.issuerRef.name"},
		},
		{
			kind: kind, name: "certificate missing", set: m{"spec.web.tls": m{"secretRef": m{"name": "nosuch"}}}, status: warning,
			says: []string{"spec.web.tls.secretRef.name nosuch", "create it with the keys tls.crt and tls.key"}, about: []string{"spec.web.tls.secretRef.name"},
		},
		{
			kind: kind, name: "certificate without a key", set: m{"spec.web.tls": m{"secretRef": m{"name": "half"}}}, status: warning,
			secrets: map[string]map[string]string{"half": {"tls.crt": "x"}}, says: []string{"spec.web.tls.secretRef.name half", "tls.key"},
		},
		{
			kind: kind, name: "gateway without the API", set: m{"spec.web.gatewayRef": m{"name": "nosuch"}}, condition: v1alpha1.ConditionExposed,
			says: []string{"spec.web.gatewayRef", "install it, or remove gatewayRef"}, about: []string{"spec.web.gatewayRef.name"},
		},
		{kind: kind, name: "volume that cannot grow", set: m{"spec.storage.size": "30Gi"}, says: []string{"spec.storage", "put size and storageClassName back"}},
		{
			kind: kind, name: "no such database", set: m{"spec.database.postgresSecretRef": m{"name": "nosuch"}},
			says: []string{"spec.database.postgresSecretRef.name nosuch", "create it with the key dsn"}, about: []string{"spec.database.postgresSecretRef.name"},
		},
		{
			kind: kind, name: "no database's URL", set: m{"spec.database.postgresSecretRef": m{"name": "dsn"}},
			secrets: map[string]map[string]string{"dsn": {"dsn": "mysql://x"}},
			says:    []string{"spec.database.postgresSecretRef.name dsn", "must be a URL like postgres://"},
		},
	}
}

func planLies() []lie {
	const kind = v1alpha1.KindExtensionPlan
	one := func(name, path string, value any, says ...string) lie {
		return lie{kind: kind, name: name, set: m{path: value}, says: append([]string{path}, says...)}
	}
	warned := func(l lie) lie {
		l.status = warning
		return l
	}
	return []lie{
		{
			kind: kind, on: kind, name: "no such tenant", set: m{"spec.tenantRef.name": "nosuch"},
			says: []string{"spec.tenantRef.name nosuch", "create it or name another one"},
		},
		one("number of a group", "spec.extensions[2].number", "600", "choose another number"),
		one("number with the prefix", "spec.extensions[2].number", "901", "outside prefix 9"),
		one("number of the police", "spec.extensions[2].number", "112", "is an emergency number"),
		one("no user", "spec.extensions[0].worksUser", "haneul kim", "without blanks"),
		one("user of another", "spec.extensions[0].worksUser", "bada@acme.example", "remove one of the two"),
		one("no mobile", "spec.extensions[0].mobile", "02-555-0100", "must be a Korean mobile number"),
		one("number of no trunk", "spec.extensions[0].did[0]", "02-555-0999", "arrives at no trunk"),
		one("no outside number", "spec.extensions[0].did[0]", "abc", "must hold digits"),
		one("no such Secret", "spec.extensions[0].secretRef.name", "nosuch", "create it with the key password"),
		{
			kind: kind, name: "short password", set: m{"spec.extensions[0].secretRef.name": "short"},
			secrets: map[string]map[string]string{"short": {"password": "secret"}},
			says:    []string{"spec.extensions[0].secretRef.name short", "12 to 128 characters"},
		},
		one("nowhere to go", "spec.extensions[2].noAnswer.to", "999", "name an extension, a group"),
		one("round in a circle", "spec.extensions[2].noAnswer.to", "103", "round for ever"),
		warned(lie{
			kind: kind, name: "voicemail not served", set: m{"spec.extensions[2].noAnswer.to": "voicemail"}, follows: true,
			says: []string{"spec.extensions[2].noAnswer.to voicemail", "not served yet"},
		}),
		{
			kind: kind, name: "range over an extension", set: m{"spec.ranges": []any{m{"from": "100", "to": "109"}}},
			says: []string{"spec.ranges[0] 101", "choose another number"}, about: []string{"spec.ranges[].from"},
		},
		{
			kind: kind, name: "range without end", set: m{"spec.ranges": []any{m{"from": "20000", "to": "40000"}}},
			says: []string{"spec.ranges[0] 20000-40000", "split or shorten it"}, about: []string{"spec.ranges[].to"},
		},
		{
			kind: kind, name: "more than the class sells", set: m{"spec.ranges": []any{m{"from": "200", "to": "299"}}}, on: v1alpha1.KindPBXTenant,
			says: []string{"spec.className", "choose a larger class"},
		},
		{
			kind: kind, name: "directory's unit", set: m{"spec.directory": m{"orgUnit": "nosuch"}}, condition: v1alpha1.ConditionDirectorySynced,
			says: []string{"spec.directory.orgUnit nosuch"}, follows: true, about: []string{"spec.directory.orgUnit"},
		},
	}
}

func memberLies() []lie {
	const kind = v1alpha1.KindExtensionPlan
	return []lie{
		{kind: kind, name: "group's number twice", set: m{"spec.groups[1].number": "101"}, says: []string{"spec.groups[1].number 101", "choose another number"}},
		{kind: kind, name: "no such member", set: m{"spec.groups[0].members[1]": "999"}, says: []string{"spec.groups[0].members[1] 999", "add it to a plan"}},
		{kind: kind, name: "group in a group", set: m{"spec.groups[0].members[1]": "601"}, says: []string{"spec.groups[0].members[1] 601", "name its extensions instead"}},
		{
			kind: kind, name: "strategy not served", set: m{"spec.groups[0].strategy": "RoundRobin"}, status: warning,
			says: []string{"spec.groups[0].strategy RoundRobin", "not served yet"},
		},
		{kind: kind, name: "group's way out", set: m{"spec.groups[0].noAnswer": "nobody"}, says: []string{"spec.groups[0].noAnswer nobody", "name an extension, a group"}},
		{
			kind: kind, name: "groups in a circle", set: m{"spec.groups[0].noAnswer": "601", "spec.groups[1].noAnswer": "600"},
			says: []string{"].noAnswer 60", "round for ever"},
		},
		{
			kind: kind, name: "conference not served", set: m{"spec.conferences": []any{m{"number": "700", "pinSecretRef": m{"name": "nosuch"}, "record": true}}},
			status: warning, says: []string{"spec.conferences[0] 700", "not served yet"},
			about: []string{"spec.conferences[].number", "spec.conferences[].pinSecretRef.name", "spec.conferences[].record"},
		},
		{
			kind: kind, name: "conference's number twice", set: m{"spec.conferences": []any{m{"number": "101"}}},
			says: []string{"spec.conferences[0].number 101", "choose another number"},
		},
		{
			kind: kind, name: "page not served", set: m{"spec.pages": []any{m{"number": "800", "members": []any{"101"}}}},
			status: warning, says: []string{"spec.pages[0] 800", "not served yet"},
		},
		{
			kind: kind, name: "page of nobody", set: m{"spec.pages": []any{m{"number": "800", "members": []any{"999"}}}},
			says: []string{"spec.pages[0].members[0] 999", "add it to a plan"}, about: []string{"spec.pages[].members[]"},
		},
		{
			kind: kind, name: "page to no multicast", set: m{"spec.pages": []any{m{"number": "800", "multicast": "10.0.0.1:5004"}}},
			says: []string{"spec.pages[0].multicast 10.0.0.1:5004", "239.10.0.1:5004"}, about: []string{"spec.pages[].multicast"},
		},
	}
}

func trunkLies() []lie {
	const kind = v1alpha1.KindSIPTrunk
	one := func(name, path string, value any, says ...string) lie {
		return lie{kind: kind, name: name, set: m{path: value}, says: append([]string{path}, says...)}
	}
	return []lie{
		{
			kind: kind, on: kind, name: "no such tenant", set: m{"spec.tenantRef.name": "nosuch"},
			says: []string{"spec.tenantRef.name nosuch", "create it or name another one"},
		},
		one("host twice", "spec.hosts[1]", m{"host": "127.0.0.2", "port": int64(5070)}, "remove one of the two"),
		{
			kind: kind, name: "no such Secret", set: m{"spec.auth": m{"register": true, "secretRef": m{"name": "nosuch"}}},
			says: []string{"spec.auth.secretRef.name nosuch", "create it with the key username"}, about: []string{"spec.auth.secretRef.name"},
		},
		{
			kind: kind, name: "Secret without a password", set: m{"spec.auth": m{"register": true, "secretRef": m{"name": "half"}}},
			secrets: map[string]map[string]string{"half": {"username": "u"}},
			says:    []string{"spec.auth.secretRef.name half", "has no key password", "add it"},
		},
		one("carrier is everybody", "spec.auth.ipAuthentication.allowedCIDRs[0]", "0.0.0.0/0", "name the carrier's networks only"),
		one("no number", "spec.numbers[1]", "12", "must be a whole Korean number"),
		one("number twice", "spec.numbers[2]", "025550100", "remove one of the two"),
		one("caller not permitted", "spec.callerID.default", "02-777-0000", "choose one of them"),
		one("caller is no number", "spec.callerID.default", "company", "must hold digits"),
		one("caller is everybody", "spec.callerID.permitted[0]", "0*", "at least two digits"),
		{
			kind: kind, name: "no codec that every carrier knows", set: m{"spec.codecs": []any{"opus"}}, status: warning, follows: true,
			says: []string{"spec.codecs opus", "add PCMA"},
		},
		{kind: kind, name: "fax not served", set: m{"spec.fax": "T38"}, status: warning, says: []string{"spec.fax T38", "not served yet"}},
		{
			kind: kind, name: "number that leads nowhere", set: m{"spec.numbers[2]": "02-555-0102"}, status: warning, follows: true,
			says: []string{"spec.numbers[2] 02-555-0102", "name it in a CallFlow"},
		},
	}
}

func flowLies() []lie {
	const kind = v1alpha1.KindCallFlow
	one := func(name, path string, value any, says ...string) lie {
		return lie{kind: kind, name: name, set: m{path: value}, says: append([]string{path}, says...)}
	}
	queue := m{"group": "600"}
	var out []lie
	for name, action := range map[string]m{
		"menu": {"prompt": m{"text": "Press 1."}, "keys": m{"1": m{"dial": "nobody"}}}, "announce": {"text": "Closed."}, "queue": queue,
	} {
		out = append(out, one(name+" not served", "spec.whenOpen", m{name: action}, "spec.whenOpen."+name, "use dial"))
	}
	hours := m{"open": []any{m{"days": []any{"Mon"}, "from": "10:00", "to": "18:00"}}}
	closed := func(name string, action m, says ...string) lie {
		return lie{kind: kind, name: name + " when closed", set: m{"spec.hours": hours, "spec.whenClosed": action}, says: says}
	}
	for name, action := range map[string]m{
		"menu": {"prompt": m{"text": "Press 1."}, "keys": m{"1": m{"dial": "nobody"}}}, "announce": {"text": "Closed."}, "queue": queue,
	} {
		out = append(out, closed(name, m{name: action}, "spec.whenClosed."+name, "use dial"))
	}
	moved := one("no such tenant", "spec.tenantRef.name", "nosuch", "nosuch", "create it or name another one")
	moved.follows, moved.on = true, kind // the company has one flow less, and is told that its number leads nowhere
	return append(out,
		closed("voicemail", m{"voicemail": "101"}, "spec.whenClosed.voicemail", "use dial"),
		closed("nobody", m{"dial": "999"}, "spec.whenClosed.dial 999", "add it to a plan"),
		one("voicemail not served", "spec.whenOpen", m{"voicemail": "101"}, "spec.whenOpen.voicemail", "use dial"),
		one("nobody", "spec.whenOpen.dial", "999", "999", "add it to a plan or dial another one"),
		one("number of no trunk", "spec.numbers[0]", "02-555-0999", "arrives at no trunk"),
		one("number of an extension", "spec.numbers[1]", "101", "choose another number"),
		one("no number", "spec.numbers[1]", "abc", "must hold digits"),
		lie{
			kind: kind, name: "calendar not served", set: m{"spec.hours": m{"open": hours["open"], "holidays": m{"calendar": "KR"}}}, status: warning, follows: true,
			says: []string{"spec.hours.holidays.calendar KR", "list the days in holidays.dates"},
		},
		lie{
			kind: kind, name: "no day", set: m{"spec.hours": m{"open": hours["open"], "holidays": m{"dates": []any{"2026-02-30"}}}},
			says: []string{"spec.hours.holidays.dates[0] 2026-02-30", "write one such as"},
		},
		moved,
	)
}

func botLies() []lie {
	const kind = v1alpha1.KindNaverWorksBot
	works := func(name, path string, value any, condition string, says ...string) lie {
		return lie{kind: kind, on: kind, name: name, set: m{path: value}, condition: condition, follows: true, says: says}
	}
	return []lie{
		works("no such tenant", "spec.tenantRef.name", "nosuch", "", "spec.tenantRef.name nosuch", "create it or name another one"),
		{kind: kind, name: "second bot", with: []*unstructured.Unstructured{ours(kind, "second", m{
			"tenantRef": m{"name": "acme"}, "botID": int64(7), "domainID": int64(domainID), "credentialsRef": m{"name": "acme-works"},
		})}, says: []string{"spec.tenantRef.name acme", "remove one of the two"}},
		{
			kind: kind, name: "no such Secret", set: m{"spec.credentialsRef.name": "nosuch"},
			says: []string{"spec.credentialsRef.name nosuch", "create it with the keys client-id"},
		},
		{
			kind: kind, name: "Secret without keys", set: m{"spec.credentialsRef.name": "half"}, secrets: map[string]map[string]string{"half": {"client-id": "x"}},
			says: []string{"spec.credentialsRef.name half", "add it"},
		},
		{kind: kind, name: "scope too small", set: m{"spec.scopes": []any{"bot.message"}}, says: []string{"spec.scopes bot.message", "set manageBot to false"}},
		works("no such bot", "spec.botID", int64(999), v1alpha1.ConditionCredentialsValid, "denies bot 999", "add the bot"),
		unknown(works("no API there", "spec.endpoints.api", "http://127.0.0.1:1/v1.0", v1alpha1.ConditionCredentialsValid, "127.0.0.1 refuses the connection")),
		unknown(works("no sign-in there", "spec.endpoints.auth", "http://127.0.0.1:1/oauth2", v1alpha1.ConditionCredentialsValid, "127.0.0.1 refuses the connection")),
	}
}

// unknown: who does not answer may answer later.
func unknown(l lie) lie {
	l.status = metav1.ConditionUnknown
	return l
}
