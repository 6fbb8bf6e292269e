package fields

// broken is a manifest that breaks a rule of the schema.
type broken struct {
	kind  string
	at    string // where the message must point; "": nowhere
	set   map[string]any
	whole int // which manifest of testdata is changed
}

// each breaks the rule at one place with several values.
func each(kind, at string, values ...any) []broken {
	var out []broken
	for _, v := range values {
		out = append(out, broken{kind: kind, at: at, set: map[string]any{at: v}})
	}
	return out
}

// in says which manifest of testdata has the place.
func in(whole int, list []broken) []broken {
	for i := range list {
		list[i].whole = whole
	}
	return list
}

func rulesBroken() []broken {
	var out []broken
	for _, list := range [][]broken{classRules(), tenantRules(), planRules(), trunkRules(), flowRules(), botRules()} {
		out = append(out, list...)
	}
	return out
}

func classRules() []broken {
	const kind = "PBXClass"
	out := []broken{
		{kind: kind, at: "spec.limits", set: map[string]any{"spec.limits.registrations.operating": int64(101)}},
		{kind: kind, at: "spec.network.portPool", set: map[string]any{"spec.network.portPool.from": int64(19999)}},
		{kind: kind, at: "spec.network.advertise", set: map[string]any{"spec.network.advertise.address": gone{}}},
		{kind: kind, at: "spec.network.advertise", set: map[string]any{"spec.network.advertise.from": "NodeExternalIP"}},
	}
	toleration := func(set map[string]any) {
		at := "spec.scheduling.tolerations[0]"
		out = append(out, broken{kind: kind, at: at, set: map[string]any{at: set}})
	}
	toleration(map[string]any{"key": "phones", "operator": "Is"})
	toleration(map[string]any{"key": "phones", "effect": "Run"})
	toleration(map[string]any{"value": "only"})
	toleration(map[string]any{"key": "phones", "operator": "Exists", "value": "only"})
	toleration(map[string]any{"key": "phones", "effect": "NoSchedule", "tolerationSeconds": int64(30)})
	for _, what := range []string{"cpu", "memory"} {
		for _, at := range []string{"spec.resources.requests." + what, "spec.resources.limits." + what} {
			out = append(out, each(kind, at, "", "much", "-1", int64(0), "1 Gi", "1gb")...)
		}
		out = append(out, broken{kind: kind, at: "spec.resources", set: map[string]any{"spec.resources.requests." + what: "3Gi"}})
	}
	out = append(out, each(kind, "spec.image", "Registry/PBX", "pbx:", "pbx latest", "https://registry.example/pbx", "registry.example/pbx@sha256:1", "/pbx")...)
	out = append(out, each(kind, "spec.network.advertise.address",
		"pbx.example.com", "203.0.113", "203.0.113.10:5060", "10.0.0.0/8", "0.0.0.0", "::", "239.1.1.1", "255.255.255.255", "fe80::1")...)
	out = append(out, each(kind, "spec.update.idleWait", "1d", "", "2 h", "-5m", "25h", "999999h999999h")...)
	return append(out, each(kind, "spec.update.maxWait", "1d", "", "2 h", "-5m", "59s", "25h", "999999h999999h")...)
}

func tenantRules() []broken {
	const kind = "PBXTenant"
	out := []broken{
		{kind: kind, set: map[string]any{"metadata.name": "a-name-of-more-than-forty-characters-in-all"}},
		{kind: kind, set: map[string]any{"metadata.name": "acme.seoul"}},
		{kind: kind, set: map[string]any{"metadata.name": "1acme"}},
		{kind: kind, at: "spec.sipTLS", set: map[string]any{"spec.sipTLS.secretRef": map[string]any{"name": "sip"}}},
		{kind: kind, at: "spec.sipTLS", set: map[string]any{"spec.sipTLS": map[string]any{}}},
		{kind: kind, at: "spec.web.tls", set: map[string]any{"spec.web.tls": map[string]any{}}},
		{kind: kind, at: "spec.web", set: map[string]any{"spec.web.gatewayRef": map[string]any{"name": "front"}}},
	}
	for _, list := range [][]broken{
		names(kind, 0, "spec.recording.encryptionKeyRef.name", "spec.sipTLS.issuerRef.name", "spec.web.tls.secretRef.name",
			"spec.web.ingressClassName", "spec.storage.storageClassName", "spec.database.postgresSecretRef.name"),
		names(kind, 1, "spec.sipTLS.secretRef.name", "spec.web.tls.issuerRef.name", "spec.web.gatewayRef.name",
			"spec.web.gatewayRef.namespace", "spec.web.gatewayRef.sectionName"),
		each(kind, "spec.displayName", "two\nlines", "a\x00b"),
		each(kind, "spec.web.administrators[0]", "haneul @acme.example", "haneul\t"),
		each(kind, "spec.web.phoneOrigins[0]", "phone.example.com", "http://phone.example.com", "https://phone.example.com/", "https://Phone.example.com", "*"),
		each(kind, "spec.domain", "Acme.example", "acme", "acme..example", "-a.example", "acme.example.", "acme.123", "https://acme.example", "에이크미.example"),
		each(kind, "spec.numbering.areaCode", "2", "00", "010", "07", ""),
		each(kind, "spec.numbering.outsidePrefix", "x", "#", "*9"),
		each(kind, "spec.numbering.emergency[0]", "1", "1-1", "abc"),
		each(kind, "spec.recording.retention", "90", "0d", "90y", "", "d"),
		each(kind, "spec.web.externalURL", "pbx.example.com", "http://pbx.example.com", "https://pbx.example.com/path", "https://a@b.example", "ftp://pbx.example.com"),
		each(kind, "spec.storage.size", "", "big", "-1Gi", "0", "20 Gi"),
	} {
		out = append(out, list...)
	}
	return out
}

// names breaks the rule on names of objects at some places.
func names(kind string, whole int, places ...string) []broken {
	var out []broken
	for _, at := range places {
		out = append(out, in(whole, each(kind, at, "A Name", "name-", "-name", "a/b", "a_b"))...)
	}
	return out
}

func planRules() []broken {
	const kind = "ExtensionPlan"
	out := []broken{
		{kind: kind, at: "spec.ranges[0]", set: map[string]any{"spec.ranges[0].to": "2490"}},
		{kind: kind, at: "spec.ranges[0]", set: map[string]any{"spec.ranges[0].to": "199"}},
		{kind: kind, at: "spec.pages[0]", set: map[string]any{"spec.pages[0].members": gone{}, "spec.pages[0].multicast": gone{}}},
	}
	out = append(out, names(kind, 0, "spec.tenantRef.name", "spec.extensions[0].secretRef.name", "spec.conferences[0].pinSecretRef.name")...)
	out = append(out, each(kind, "spec.extensions[0].displayName", "two\nlines")...)
	out = append(out, each(kind, "spec.groups[0].displayName", "two\r\nlines")...)
	for _, at := range []string{
		"spec.extensions[0].number", "spec.groups[0].number", "spec.conferences[0].number", "spec.pages[0].number", "spec.ranges[0].from", "spec.ranges[0].to",
	} {
		out = append(out, each(kind, at, "1", "10a", "1-1", "")...)
	}
	out = append(out, each(kind, "spec.directory.numberField", "fax", "")...)
	for _, at := range []string{"spec.extensions[0].noAnswer.after", "spec.groups[0].timeout"} {
		out = append(out, each(kind, at, "20", "", "4s", "181s", "1d")...)
	}
	return out
}

func trunkRules() []broken {
	const kind = "SIPTrunk"
	out := []broken{
		{kind: kind, at: "spec.auth", set: map[string]any{"spec.auth.register": false}},
		{kind: kind, at: "spec.auth", set: map[string]any{"spec.auth.ipAuthentication": map[string]any{}}},
		{kind: kind, at: "spec.auth", set: map[string]any{"spec.auth.secretRef": gone{}}},
	}
	out = append(out, names(kind, 0, "spec.tenantRef.name", "spec.auth.secretRef.name")...)
	out = append(out, each(kind, "spec.auth.realm", "\"carrier\"", "a\\b", "two\nlines")...)
	out = append(out, each(kind, "spec.hosts[0].host", "sip.carrier.example:5060", "sip:carrier.example", "a b", "-a.example", "[2001:db8::1]")...)
	out = append(out, each(kind, "spec.callerID.permitted[0]", "*", "02-*-1", "all", "02-555-**")...)
	return append(out, in(1, each(kind, "spec.auth.ipAuthentication.allowedCIDRs[0]", "198.51.100.7", "198.51.100.0/33", "carrier.example"))...)
}

func flowRules() []broken {
	const kind = "CallFlow"
	out := []broken{
		{kind: kind, at: "spec", set: map[string]any{"spec.hours": gone{}}},
		{kind: kind, at: "spec.hours.open[0]", set: map[string]any{"spec.hours.open[0].from": "18:00"}},
	}
	out = append(out, names(kind, 0, "spec.tenantRef.name")...)
	out = append(out, each(kind, "spec.hours.open[0].from", "9:00", "24:00", "10:60", "10", "")...)
	out = append(out, each(kind, "spec.hours.open[0].to", "9:00", "24:01", "6pm", "")...)
	out = append(out, each(kind, "spec.hours.holidays.dates[0]", "1 May", "2026-5-1", "")...)
	queue := map[string]any{"group": "600"}
	for _, at := range []string{"spec.whenOpen", "spec.whenClosed"} {
		out = append(out,
			broken{kind: kind, at: at, set: map[string]any{at: map[string]any{}}},
			broken{kind: kind, at: at, set: map[string]any{at + ".queue": queue}},
			broken{kind: kind, at: at + ".menu.keys[1]", set: map[string]any{at + ".menu.keys.1": map[string]any{}}, whole: 1},
			broken{kind: kind, at: at + ".menu.fallback", set: map[string]any{at + ".menu.fallback.queue": queue}, whole: 1},
			broken{kind: kind, at: at + ".announce.then", set: map[string]any{at + ".announce.then": map[string]any{}}, whole: 4},
			broken{kind: kind, at: at + ".menu", set: map[string]any{at + ".menu.keys.12": map[string]any{"dial": "600"}}, whole: 1},
		)
		out = append(out, in(1, each(kind, at+".menu.timeout", "0s", "61s", "5", ""))...)
		out = append(out, in(8, each(kind, at+".queue.maxWait", "9s", "121m", "5", ""))...)
		out = append(out, in(3, each(kind, at+".menu.keys[1].queue.maxWait", "9s", "121m", ""))...)
		out = append(out, in(3, each(kind, at+".menu.fallback.queue.maxWait", "9s", "121m", ""))...)
		out = append(out, in(6, each(kind, at+".announce.then.queue.maxWait", "9s", "121m", ""))...)
	}
	return out
}

func botRules() []broken {
	const kind = "NaverWorksBot"
	out := each(kind, "spec.scopes", []any{"user.read"}, []any{"bot.read"})
	out = append(out, names(kind, 0, "spec.tenantRef.name", "spec.credentialsRef.name")...)
	out = append(out, each(kind, "spec.scopes[0]", "Bot", "bot read")...)
	for _, at := range []string{"spec.endpoints.api", "spec.endpoints.auth", "spec.endpoints.issuer"} {
		out = append(out, each(kind, at, "works.example", "http://works.example", "https://", "https://a b", "")...)
	}
	return out
}
