package doctor

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/nodes"
)

const (
	// renewBefore is when a certificate that still stands should long have
	// been renewed: issuers do so a third of its life before the end.
	renewBefore    = 14 * 24 * time.Hour
	defaultSIPPort = 5060
)

// advertised returns the addresses that tenants of the class advertise on the
// node, as the class says; none if the node has no such address.
func advertised(list []corev1.Node, class *v1alpha1.PBXClass, node string) []netip.Addr {
	all := nodes.Of(list, class).Advertise
	texts := all[""]
	if len(texts) == 0 && node != "" {
		texts = all[node]
	}
	var found []netip.Addr
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil {
			found = append(found, addr.Unmap())
		}
	}
	return found
}

// sipPort is where the running pod listens, else where it will; while a
// tenant waits to be moved, the two differ.
func sipPort(t *Tenant) int {
	if port := desired.DeclaredPort(t.Pod, desired.PortSIPUDP); port != 0 || t.Tenant.Status.Ports == nil {
		return int(port)
	}
	return int(t.Tenant.Status.Ports.SIP)
}

func advertise(s *Snapshot, t *Tenant) []Finding {
	const check = "advertise"
	if err := s.unreadable(ReadClasses); err != nil {
		return nil // the check of the classes says it
	}
	if t.Class == nil {
		return []Finding{fail(check, "set spec.className to one of: kubectl get pbxclasses", "there is no PBXClass %q", t.Tenant.Spec.ClassName)}
	}
	from := t.Class.Spec.Network.Advertise.From
	if from != v1alpha1.AdvertiseStatic {
		if err := s.unreadable(ReadNodes); err != nil {
			return []Finding{notRead(check, ReadNodes, err)}
		}
		if t.Tenant.Status.NodeName == "" {
			return nil // the check of the pod says it
		}
	}
	if len(t.Advertised) == 0 {
		return []Finding{fail(check, fmt.Sprintf("give the node the address (cloud provider, kubelet --node-ip), or kubectl edit pbxclass %s: network.advertise.from NodeInternalIP or Static", t.Class.Name),
			"node %s has no %s, which PBXClass %s advertises", t.Tenant.Status.NodeName, from, t.Class.Name)}
	}
	at := slices.IndexFunc(t.Advertised, netip.Addr.IsPrivate)
	if from == v1alpha1.AdvertiseNodeExternalIP && at >= 0 {
		return []Finding{warn(check, "set the node's ExternalIP to its public address, or network.advertise.from: Static; right only if phones and carriers are in that network",
			"%s is a private address: phones and carriers outside do not reach it", t.Advertised[at])}
	}
	return []Finding{fine(check, "%s (%s)", join(t.Advertised), from)}
}

func signalling(_ *Snapshot, t *Tenant) []Finding {
	const check = "sip"
	var found []Finding
	for _, a := range t.Network.SIP {
		if a.Err == nil {
			found = append(found, fine(check, "%s over %s answers OPTIONS: %s", a.Address, a.Transport, a.Status))
			continue
		}
		cure := fmt.Sprintf("open %s port %d to the node in the firewall, and the RTP ports over UDP", a.Transport, a.Address.Port())
		if errors.Is(a.Err, syscall.ECONNREFUSED) {
			cure = "nothing listens there: see the findings about pod and ports, and that the address is the node's own"
		}
		if ip := a.Address.Addr(); ip.IsPrivate() || ip.IsLoopback() {
			found = append(found, warn(check, "run doctor from the phones' network; "+cure,
				"%s over %s does not answer OPTIONS from here: %v; the address is private, so here may be the wrong place to ask", a.Address, a.Transport, a.Err))
			continue
		}
		found = append(found, fail(check, cure, "%s over %s does not answer OPTIONS from here: %v", a.Address, a.Transport, a.Err))
	}
	return found
}

// records are right if a phone that is told only the domain gets to the PBX:
// by SRV, or by the address alone where the port is the well-known one.
func records(_ *Snapshot, t *Tenant) []Finding {
	const check = "dns"
	domain, port := t.Tenant.Spec.Domain, sipPort(t)
	if port == 0 || len(t.Advertised) == 0 {
		return nil // the checks above say it
	}
	var found []Finding
	srv := 0
	for _, kind := range []Services{t.Network.UDP, t.Network.TCP} {
		switch f, state := service(t, kind, port); state {
		case OK:
			srv++
		case Fail:
			found = append(found, f)
		}
	}
	cure := fmt.Sprintf("add the records %s, or install external-dns", wantedRecords(domain, t.Advertised, port))
	host := t.Network.Host
	leads := slices.ContainsFunc(host.Addresses, func(a netip.Addr) bool { return slices.Contains(t.Advertised, a) })
	switch {
	case host.Err != nil || len(host.Addresses) == 0:
		found = append(found, fail(check, fmt.Sprintf("add an A or AAAA record of %s with the address of the ingress; for phones: %s", domain, wantedRecords(domain, t.Advertised, port)),
			"%s has no address (%s): neither people nor NAVER WORKS get to the console", domain, because(host.Err)))
	case !leads && srv == 0:
		found = append(found, fail(check, cure, "%s has no SRV records and leads to %s, the PBX is at %s", domain, join(host.Addresses), join(t.Advertised)))
	case srv == 0 && len(found) == 0 && port != defaultSIPPort:
		found = append(found, warn(check, cure+fmt.Sprintf("; or give phones the port: %s:%d", domain, port),
			"%s has no SRV records: phones that are told only the domain try port %d", domain, defaultSIPPort))
	case len(found) == 0:
		found = append(found, fine(check, "%s leads to %s; %s to port %d of the PBX", domain, join(host.Addresses), lead(srv), port))
	}
	return found
}

// service judges the SRV records of one transport; OK means that they lead to
// the PBX, Warn that there are none.
func service(t *Tenant, s Services, port int) (Finding, Level) {
	const check = "dns"
	if s.Err != nil || len(s.Records) == 0 {
		return Finding{}, Warn
	}
	cure := fmt.Sprintf("set %s to: 10 10 %d %s", s.Name, port, desired.SIPHost(t.Tenant.Spec.Domain))
	for _, r := range s.Records {
		at := fmt.Sprintf("%s leads to %s:%d", s.Name, strings.TrimSuffix(r.Target, "."), r.Port)
		if r.Port != port {
			return fail(check, cure, "%s, the PBX's port is %d", at, port), Fail
		}
		if !slices.ContainsFunc(r.Lookup.Addresses, func(a netip.Addr) bool { return slices.Contains(t.Advertised, a) }) {
			return fail(check, cure, "%s, which is at %s, the PBX at %s", at, addresses(r.Lookup), join(t.Advertised)), Fail
		}
	}
	return Finding{}, OK
}

func lead(records int) string {
	if records == 1 {
		return "1 SRV record leads"
	}
	return fmt.Sprintf("%d SRV records lead", records)
}

func addresses(l Lookup) string {
	if len(l.Addresses) == 0 {
		return "no address"
	}
	return join(l.Addresses)
}

func wantedRecords(domain string, list []netip.Addr, port int) string {
	words := make([]string, 0, len(list)+2)
	for _, a := range list {
		kind := "A"
		if a.Is6() {
			kind = "AAAA"
		}
		words = append(words, fmt.Sprintf("%s %s %s", desired.SIPHost(domain), kind, a))
	}
	for _, transport := range []string{"udp", "tcp"} {
		words = append(words, fmt.Sprintf("_sip._%s.%s SRV 10 10 %d %s", transport, domain, port, desired.SIPHost(domain)))
	}
	return strings.Join(words, ", ")
}

// because leaves out the resolver's address, which differs from run to run.
func because(err error) string {
	var dns *net.DNSError
	switch {
	case err == nil:
		return "no record"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such name"
	case errors.As(err, &dns):
		return dns.Err
	}
	return err.Error()
}

func certificate(s *Snapshot, t *Tenant) []Finding {
	const check = "certificate"
	w := t.Network.Web
	cure := "see kubectl describe certificate and ingress in namespace " + t.Tenant.Namespace + "; spec.web.tls chooses the issuer or Secret"
	switch {
	case w.Address == "":
		return nil
	case w.Certificate == nil:
		return []Finding{fail(check, "install an ingress controller, and let DNS and firewall lead https to it", "the console at %s does not answer: %v", w.Address, w.Err)}
	}
	left := w.Certificate.NotAfter.Sub(s.Now)
	until := w.Certificate.NotAfter.UTC().Format(time.DateOnly)
	switch {
	case left <= 0:
		return []Finding{fail(check, cure, "the certificate at %s ran out on %s", w.Address, until)}
	case w.Err != nil:
		return []Finding{fail(check, cure+"; NAVER WORKS refuses callbacks to a certificate that is not trusted", "the certificate at %s is not good: %v", w.Address, w.Err)}
	case left < renewBefore:
		return []Finding{warn(check, cure, "the certificate at %s runs out on %s, in %s", w.Address, until, many(int(left/(24*time.Hour)), "day"))}
	}
	return []Finding{fine(check, "the console at %s is trusted until %s", w.Address, until)}
}

func report(_ *Snapshot, t *Tenant) []Finding {
	const check = "pbx"
	r := t.Report
	if r == nil {
		if t.ReportErr == nil {
			return nil // there is no pod to ask
		}
		return []Finding{warn(check, "kubectl port-forward needs the rights get and create on pods/portforward; kubectl dipcast logs "+t.Tenant.Name+" tells how the PBX is",
			"the PBX does not report: %v", t.ReportErr)}
	}
	var found []Finding
	if r.Refused != "" {
		found = append(found, fail(check, "correct the manifest; the PBX goes on with the last good document", "it refuses the newest document: %s", r.Refused))
	}
	if !r.DatabaseUp {
		found = append(found, fail(check, "see the log; with spec.database.postgresSecretRef: that the server is up and the dsn right", "its database is down: records wait in memory"))
	}
	if r.Draining {
		found = append(found, warn(check, fmt.Sprintf("kubectl dipcast drain %s -n %s --resume takes calls again at once", t.Tenant.Name, t.Tenant.Namespace),
			"it drains: new calls are refused"))
	}
	if len(r.Restart) > 0 {
		found = append(found, warn(check, "the operator replaces the pod once the calls have ended", "a new process is needed for: %s", strings.Join(r.Restart, ", ")))
	}
	if len(found) == 0 {
		found = []Finding{fine(check, "it runs the newest document it has seen; its database is up")}
	}
	return found
}

func trunks(_ *Snapshot, t *Tenant) []Finding {
	const check = "trunks"
	if t.Report == nil {
		return nil
	}
	if len(t.Report.Trunks) == 0 {
		return []Finding{warn(check, "apply a SIPTrunk", "there is none: people call each other only")}
	}
	var found []Finding
	for _, r := range t.Report.Trunks {
		if r.Up {
			found = append(found, fine(check, "%s is up, by %s", r.Name, r.Host))
			continue
		}
		found = append(found, fail(check, fmt.Sprintf("check hosts and auth of SIPTrunk %s with the carrier, and that its firewall knows %s; kubectl dipcast logs %s tells each try",
			r.Name, join(t.Advertised), t.Tenant.Name), "%s is down: %s", r.Name, r.Why))
	}
	return found
}

// bots leaves what the tenant's callback answers from here to callback.
func bots(_ *Snapshot, t *Tenant) []Finding {
	const check = "works"
	if len(t.Bots) == 0 {
		return []Finding{fine(check, "no NaverWorksBot: no cards are sent")}
	}
	var found []Finding
	for i := range t.Bots {
		b := &t.Bots[i]
		var list []metav1.Condition
		for _, c := range b.Status.Conditions {
			if c.Type != v1alpha1.ConditionAccepted { // told among the manifests
				list = append(list, c)
			}
		}
		if len(list) == 0 {
			found = append(found, warn(check, "see the operator's log", "NaverWorksBot %s: the operator has not looked at it yet", b.Name))
			continue
		}
		judged := judge(check, list, "")
		for j := range judged {
			judged[j].Message = "NaverWorksBot " + b.Name + ": " + judged[j].Message
			judged[j].Cure = botCure(b, judged[j].Message)
		}
		if len(judged) == 0 {
			judged = []Finding{fine(check, "NaverWorksBot %s: credentials, callback and menu are as they should be", b.Name)}
		}
		found = append(found, judged...)
	}
	return found
}

func botCure(b *v1alpha1.NaverWorksBot, message string) string {
	secret := "Secret " + b.Spec.CredentialsRef.Name
	for _, c := range []struct{ reason, cure string }{
		{v1alpha1.ReasonSecretMissing, "make " + secret + " with client-id, client-secret, service-account, private-key, bot-secret"},
		{v1alpha1.ReasonSecretInvalid, "put the values of the Developer Console into " + secret + " again"},
		{v1alpha1.ReasonUnauthorized, "compare " + secret + " with the app in the Developer Console: client ID, secret, service account and key belong together"},
		{v1alpha1.ReasonForbidden, "give the app the scopes of spec.scopes in the Developer Console, and the bot to the company's domain"},
		{v1alpha1.ReasonRateLimited, "wait: the operator asks again by itself"},
		{v1alpha1.ReasonUnreachable, "let DNS, firewall and ingress lead " + b.Status.CallbackURL + " to the cluster; NAVER WORKS calls it from the internet"},
	} {
		if strings.Contains(message, ": "+c.reason) {
			return c.cure
		}
	}
	return "kubectl -n " + b.Namespace + " describe naverworksbot " + b.Name
}

// callback: our PBX refuses a callback that is not signed. Whatever else
// answers there is not our PBX, or does not know its bot.
func callback(_ *Snapshot, t *Tenant) []Finding {
	const check = "callback"
	c := t.Network.Callback
	switch {
	case c.URL == "":
		return nil
	case c.Err != nil:
		return []Finding{fail(check, "let DNS, firewall and ingress lead it to the cluster; NAVER WORKS calls it from the internet", "%s does not answer: %v", c.URL, c.Err)}
	case c.Status == http.StatusUnauthorized || c.Status == http.StatusForbidden:
		return []Finding{fine(check, "%s is the PBX's: it refuses what is not signed (%d)", c.URL, c.Status)}
	case c.Status == http.StatusNotFound:
		return []Finding{fail(check, "see that Ingress or HTTPRoute "+desired.WebName(t.Tenant.Name)+" has this host and leads to Service "+desired.PBXName(t.Tenant.Name)+"; the PBX itself answers 404 until it knows its bot",
			"%s answers 404: it leads elsewhere, or the PBX has no bot yet", c.URL)}
	case c.Status >= http.StatusInternalServerError:
		return []Finding{fail(check, "see the ingress controller's log and kubectl get endpointslices: the Service must have the pod", "%s answers %d: the proxy does not get through to the PBX", c.URL, c.Status)}
	}
	return []Finding{fail(check, "let the host lead to this tenant's Service alone, without sign-in or redirects in front of /works/callback",
		"%s answers %d to a callback that is not signed: that is not our PBX", c.URL, c.Status)}
}
