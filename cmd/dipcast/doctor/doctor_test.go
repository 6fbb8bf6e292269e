package doctor_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
	"github.com/dipcast/dipcast/cmd/dipcast/doctor"
	"github.com/dipcast/dipcast/config/crd"
	"github.com/dipcast/dipcast/pbx/conf"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// fleet is a healthy installation with one tenant, as an API server shows it.
func fleet(t *testing.T) []client.Object {
	t.Helper()
	raw, err := os.ReadFile("testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(raw), "\n---\n")
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		part, err := crd.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(part))
	}
	scheme, err := cluster.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme).UniversalDeserializer()
	var list []client.Object
	for _, part := range parts {
		o, _, err := decoder.Decode([]byte(part), nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, part)
		}
		if definition, ok := o.(*apiextensionsv1.CustomResourceDefinition); ok {
			definition.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: "True"}}
		}
		list = append(list, o.(client.Object))
	}
	return list
}

func reader(t *testing.T, funcs interceptor.Funcs) client.Client {
	t.Helper()
	scheme, err := cluster.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(fleet(t)...).WithInterceptorFuncs(funcs).Build()
}

func healthy() *conf.Report {
	return &conf.Report{
		Version: conf.ReportVersion, Program: "0.3.0", Generation: "5d41402abc4b", ActiveCalls: 3, Registrations: 41, DatabaseUp: true,
		Trunks: []conf.TrunkReport{{Name: "carrier", Up: true, Host: "sip.carrier.example:5060"}},
	}
}

func reached() doctor.Network {
	node := netip.MustParseAddr("203.0.113.10")
	at := doctor.Lookup{Addresses: []netip.Addr{node}}
	target := []doctor.Service{{Target: "sip.acme.pbx.example.com.", Port: 10812, Lookup: at}}
	return doctor.Network{
		SIP: []doctor.SIPAnswer{
			{Address: netip.AddrPortFrom(node, 10812), Transport: "UDP", Status: "200 OK"},
			{Address: netip.AddrPortFrom(node, 10812), Transport: "TCP", Status: "200 OK"},
		},
		Host:     doctor.Lookup{Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.80")}},
		UDP:      doctor.Services{Name: "_sip._udp.acme.pbx.example.com", Records: target},
		TCP:      doctor.Services{Name: "_sip._tcp.acme.pbx.example.com", Records: target},
		Web:      doctor.Web{Address: "acme.pbx.example.com:443", Certificate: &x509.Certificate{NotAfter: now.Add(60 * 24 * time.Hour)}},
		Callback: doctor.Callback{URL: "https://acme.pbx.example.com/works/callback", Status: 401},
	}
}

func gather(t *testing.T, r client.Reader, scope doctor.Scope) *doctor.Snapshot {
	t.Helper()
	s := &doctor.Snapshot{Now: now, Version: "0.3.0"}
	g := doctor.Gatherer{
		Reader: r,
		Report: func(context.Context, *v1alpha1.PBXTenant) (*conf.Report, error) { return healthy(), nil },
		Probe:  func(context.Context, *doctor.Tenant) doctor.Network { return reached() },
	}
	if err := g.Gather(t.Context(), s, scope); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAHealthyInstallationHasNoFinding(t *testing.T) {
	all := doctor.Examine(gather(t, reader(t, interceptor.Funcs{}), doctor.Scope{}))
	if doctor.Worst(all) != doctor.OK {
		t.Errorf("worst is %s", doctor.Worst(all))
	}
	checks := map[string]bool{}
	for _, f := range all {
		checks[f.Check] = true
		if f.Level != doctor.OK || f.Message == "" || f.Cure != "" || f.Subject == "" {
			t.Errorf("%+v", f)
		}
	}
	for _, want := range []string{
		"definitions", "operator", "ports", "pod-security", "conditions", "manifests", "pod", "advertise", "sip", "dns",
		"certificate", "pbx", "trunks", "works", "callback", "disruption", "volume", "version",
	} {
		if !checks[want] {
			t.Errorf("nothing is said of %s", want)
		}
	}
}

// damage is one thing that is wrong with a healthy installation.
type damage struct {
	name    string
	do      func(s *doctor.Snapshot, t *doctor.Tenant)
	level   doctor.Level
	check   string
	message string // part of it
	cure    string // part of it
}

func condition(t *doctor.Tenant, kind, status, reason, message string) {
	meta.SetStatusCondition(&t.Tenant.Status.Conditions, metav1.Condition{
		Type: kind, Status: metav1.ConditionStatus(status), Reason: reason, Message: message,
	})
}

func TestFindings(t *testing.T) {
	client := reader(t, interceptor.Funcs{})
	for _, list := range [][]damage{ofCluster(), ofTenant(), ofNetwork()} {
		for _, tc := range list {
			t.Run(tc.name, func(t *testing.T) {
				s := gather(t, client, doctor.Scope{Namespace: "acme", Name: "acme"})
				tc.do(s, &s.Tenants[0])
				var seen []doctor.Finding
				for _, f := range doctor.Examine(s) {
					if f.Level != doctor.OK {
						seen = append(seen, f)
						if f.Cure == "" || f.Subject == "" {
							t.Errorf("without cure or subject: %+v", f)
						}
					}
					if f.Check == tc.check && f.Level == tc.level && strings.Contains(f.Message, tc.message) && strings.Contains(f.Cure, tc.cure) {
						return
					}
				}
				t.Errorf("want %s %s %q with the cure %q, have\n%+v", tc.level, tc.check, tc.message, tc.cure, seen)
			})
		}
	}
}

func ofCluster() []damage {
	const fail, warn = doctor.Fail, doctor.Warn
	return []damage{
		{"no definition", func(s *doctor.Snapshot, _ *doctor.Tenant) { s.CRDs = s.CRDs[1:] }, fail, "definitions", "callflows.pbx.dipcast.io is missing", "crds.install=true"},
		{"definition not established", func(s *doctor.Snapshot, _ *doctor.Tenant) { s.CRDs[0].Status.Conditions = nil }, fail, "definitions", "not established", "describe crd"},
		{"definition of another version", func(s *doctor.Snapshot, _ *doctor.Tenant) { s.CRDs[2].Spec.Versions[0].AdditionalPrinterColumns = nil }, warn, "definitions", "another version", "server-side"},
		{"definitions not readable", unreadable(doctor.ReadCRDs), warn, "definitions", "cannot be read", "right"},
		{"no operator", func(s *doctor.Snapshot, _ *doctor.Tenant) { s.Operators = nil }, fail, "operator", "no Deployment", "helm install"},
		{"operator down", func(s *doctor.Snapshot, _ *doctor.Tenant) { s.Operators[0].Status.AvailableReplicas = 0 }, fail, "operator", "no available replica", "logs deployment/dipcast-operator"},
		{"operator of another version", func(s *doctor.Snapshot, _ *doctor.Tenant) { s.Version = "v0.4.0" }, warn, "operator", "is of version 0.3.0, this program of v0.4.0", "upgrade"},
		{"two operators", func(s *doctor.Snapshot, _ *doctor.Tenant) { s.Operators = append(s.Operators, s.Operators[0]) }, warn, "operator", "2 Deployments", "uninstall"},
		{"version from the image", func(s *doctor.Snapshot, _ *doctor.Tenant) {
			s.Operators[0].Labels = nil
			s.Operators[0].Spec.Template.Spec.Containers[0].Image = "registry.example:5000/operator:0.2.9@sha256:00"
		}, warn, "operator", "version 0.2.9", ""},
		{"no class", func(s *doctor.Snapshot, _ *doctor.Tenant) { s.Classes = nil }, fail, "class", "no PBXClass", "classes.yaml"},
		{"overlapping pools", func(s *doctor.Snapshot, _ *doctor.Tenant) {
			other := s.Classes[0].DeepCopy()
			other.Name, other.Spec.Default = "small", false
			other.Spec.Network.PortPool = v1alpha1.PortPool{From: 20000, To: 21000}
			s.Classes = append(s.Classes, *other)
		}, fail, "ports", "portPool 20000-21000 overlaps 10000-20000 of PBXClass dipcast-100", "edit pbxclass small"},
		{"two defaults", func(s *doctor.Snapshot, _ *doctor.Tenant) {
			other := s.Classes[0].DeepCopy()
			other.Name = "small"
			s.Classes = append(s.Classes, *other)
		}, fail, "class", "2 classes are the default: dipcast-100, small", "spec.default: false"},
		{"class not accepted", func(s *doctor.Snapshot, _ *doctor.Tenant) {
			s.Classes[0].Status.Conditions[0].Status = metav1.ConditionFalse
		}, fail, "class", "not accepted", "apply"},
		{"class not seen", func(s *doctor.Snapshot, _ *doctor.Tenant) { s.Classes[0].Status.Conditions = nil }, warn, "class", "not looked", "log"},
		{"no node", func(s *doctor.Snapshot, _ *doctor.Tenant) { s.Classes[0].Status.Nodes = 0 }, fail, "ports", "no node", "label a node"},
		{"no free slot", func(s *doctor.Snapshot, _ *doctor.Tenant) { s.Classes[0].Status.Free = 0 }, warn, "ports", "no free slot", "widen"},
		{"tenants not readable", unreadable(doctor.ReadTenants), warn, "tenants", "cannot be read", "right"},
		{"no tenant", func(s *doctor.Snapshot, _ *doctor.Tenant) { s.Tenants = nil }, warn, "tenants", "no PBXTenant", "-A"},
	}
}

func unreadable(what string) func(*doctor.Snapshot, *doctor.Tenant) {
	return func(s *doctor.Snapshot, _ *doctor.Tenant) {
		s.Unreadable = append(s.Unreadable, doctor.Unreadable{What: what, Err: errors.New("forbidden")})
	}
}

func ofTenant() []damage {
	const fail, warn = doctor.Fail, doctor.Warn
	return []damage{
		{"node silent", func(s *doctor.Snapshot, _ *doctor.Tenant) {
			s.Nodes[0].Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}
		}, fail, "pod", "node n1, where pod acme-pbx-0 is, is not ready", "kubectl taint node n1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"},
		{"restricted namespace", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			t.Namespace.Labels["pod-security.kubernetes.io/enforce"] = "restricted"
		}, fail, "pod-security", `profile "restricted"`, "kubectl label namespace acme pod-security.kubernetes.io/enforce=privileged"},
		{"pod refused", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			t.Namespace.Labels = nil
			condition(t, v1alpha1.ConditionPodRunning, "False", v1alpha1.ReasonPodRefused, "violates PodSecurity")
		}, fail, "pod-security", "refuses the pod", "label namespace"},
		{"never seen", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Tenant.Status.Conditions = nil }, fail, "conditions", "not looked", "operator"},
		{"old status", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Tenant.Generation = 4 }, warn, "conditions", "older manifest", "wait"},
		{"bad condition", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			condition(t, v1alpha1.ConditionExposed, "False", v1alpha1.ReasonNotFound, "Ingress class x does not exist")
		}, fail, "conditions", "Exposed is False: NotFound: Ingress class x", "do as it says; kubectl dipcast status acme -n acme"},
		{"unknown condition", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			condition(t, v1alpha1.ConditionTrunksUp, "Unknown", v1alpha1.ReasonWaiting, "")
		}, warn, "conditions", "TrunksUp is Unknown: Waiting", "status"},
		{"pressure", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			condition(t, v1alpha1.ConditionCapacityPressure, "True", v1alpha1.ReasonOverOperating, "more than 100 phones")
		}, warn, "conditions", "CapacityPressure is True", "status"},
		{"overload", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			condition(t, v1alpha1.ConditionOverloaded, "True", v1alpha1.ReasonMemoryShort, "new calls of phones are refused: memory is short: raise it")
		}, fail, "conditions", "Overloaded is True: MemoryShort: new calls of phones are refused", "do as it says"},
		{"object not accepted", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			t.Plans[0].Status.Conditions[0] = metav1.Condition{Type: "Accepted", Status: "False", Reason: "Duplicate", Message: "101 twice"}
		}, fail, "manifests", "ExtensionPlan seoul is not accepted: Duplicate: 101 twice", "apply"},
		{"no objects", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Plans, t.Trunks, t.Bots = nil, nil, nil }, warn, "manifests", "nobody can call", "tenantRef.name: acme"},
		{"no pod", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Pod = nil }, fail, "pod", "no pod acme-pbx-0", "statefulset acme-pbx"},
		{"pod pending", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			t.Pod.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "didn't have free ports",
			}}}
		}, fail, "pod", "Pending, not Running: Unschedulable: didn't have free ports", "describe pod"},
		{"pod crashing", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			t.Pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
		}, fail, "pod", "CrashLoopBackOff", "--previous"},
		{"pod not ready", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Pod.Status.ContainerStatuses[0].Ready = false }, fail, "pod", "not ready", "logs acme"},
		{"pod restarted", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Pod.Status.ContainerStatuses[0].RestartCount = 2 }, warn, "pod", "after 2 restarts", "--previous"},
		{"no ports", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Tenant.Status.Ports = nil }, fail, "ports", "no host ports", "PortsAllocated"},
		{"wrong ports", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Tenant.Status.Ports.HTTP = 9 }, fail, "ports", "HTTP 9", "delete pod"},
		{"ports to come", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			t.Tenant.Status.PreviousPorts = t.Tenant.Status.Ports.DeepCopy()
			t.Tenant.Status.Ports.SIP = 9
		}, warn, "ports", "waits to be moved", "drain acme"},
		{"no budget", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Budget = nil }, fail, "disruption", "no PodDisruptionBudget acme-pbx", "log"},
		{"weak budget", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Budget.Status.DisruptionsAllowed = 1 }, fail, "disruption", "lets the pod be evicted", "maxUnavailable: 0"},
		{"no volume", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Volume = nil }, fail, "volume", "no PersistentVolumeClaim acme-data", "log"},
		{"volume pending", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Volume.Status.Phase = corev1.ClaimPending }, fail, "volume", "Pending, not Bound", "storageclass"},
		{"old PBX", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Report.Program = "0.2.0" }, warn, "version", "the PBX is of version 0.2.0, the operator of 0.3.0", "Updating"},
		{"no class of that name", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Class = nil }, fail, "advertise", `no PBXClass "dipcast-100"`, "spec.className"},
	}
}

func ofNetwork() []damage {
	const fail, warn = doctor.Fail, doctor.Warn
	never := errors.New("no answer in 5s")
	private := netip.MustParseAddr("10.0.0.11")
	return []damage{
		{"no address of the kind", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Advertised = nil }, fail, "advertise", "node n1 has no NodeExternalIP", "NodeInternalIP or Static"},
		{"private external address", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Advertised = []netip.Addr{private} }, warn, "advertise", "10.0.0.11 is a private address", "Static"},
		{"SIP silent", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Network.SIP[0].Err = never }, fail, "sip", "203.0.113.10:10812 over UDP does not answer OPTIONS from here: no answer in 5s", "open UDP port 10812"},
		{"SIP refused", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			t.Network.SIP[0].Err = os.NewSyscallError("connect", syscall.ECONNREFUSED)
		}, fail, "sip", "connection refused", "nothing listens there"},
		{"private SIP silent", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			t.Network.SIP[1].Err, t.Network.SIP[1].Address = never, netip.AddrPortFrom(private, 10812)
		}, warn, "sip", "wrong place to ask", "phones' network"},
		{"no name", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			t.Network.Host = doctor.Lookup{Err: &net.DNSError{IsNotFound: true, Server: "192.0.2.53"}}
		}, fail, "dns", "acme.pbx.example.com has no address (no such name)", "sip.acme.pbx.example.com A 203.0.113.10, _sip._udp.acme.pbx.example.com SRV 10 10 10812 sip.acme.pbx.example.com"},
		{"leads elsewhere", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Network.UDP.Records, t.Network.TCP.Records = nil, nil }, fail, "dns", "leads to 203.0.113.80, the PBX is at 203.0.113.10", "external-dns"},
		{"no service records", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			t.Network.UDP.Records, t.Network.TCP.Records = nil, nil
			t.Network.Host.Addresses = t.Advertised
		}, warn, "dns", "has no SRV records", "acme.pbx.example.com:10812"},
		{"service records of another port", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Network.TCP.Records[0].Port = 5060 }, fail, "dns", "_sip._tcp.acme.pbx.example.com leads to sip.acme.pbx.example.com:5060, the PBX's port is 10812", "10 10 10812"},
		{"service records to nowhere", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Network.UDP.Records[0].Lookup.Addresses = nil }, fail, "dns", "which is at no address", "set _sip._udp"},
		{"no console", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			t.Network.Web = doctor.Web{Address: "acme.pbx.example.com:443", Err: errors.New("connection refused")}
		}, fail, "certificate", "connection refused", "ingress"},
		{"ran out", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Network.Web.Certificate.NotAfter = now.Add(-time.Hour) }, fail, "certificate", "ran out on 2026-11-23", "issuer"},
		{"runs out soon", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			t.Network.Web.Certificate.NotAfter = now.Add(13 * 24 * time.Hour)
		}, warn, "certificate", "runs out on 2026-12-06, in 13 days", "certificate"},
		{"not trusted", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Network.Web.Err = x509.UnknownAuthorityError{} }, fail, "certificate", "unknown authority", "NAVER WORKS refuses"},
		{"no report", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Report, t.ReportErr = nil, errors.New("forbidden") }, warn, "pbx", "does not report: forbidden", "pods/portforward"},
		{"document refused", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Report.Refused = "ports: in use" }, fail, "pbx", "refuses the newest document: ports: in use", "last good"},
		{"database down", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Report.DatabaseUp = false }, fail, "pbx", "database is down", "dsn"},
		{"drains", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Report.Draining = true }, warn, "pbx", "new calls are refused", "--resume"},
		{"restart", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Report.Restart = []string{"ports"} }, warn, "pbx", "needed for: ports", "replaces"},
		{"trunk down", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			t.Report.Trunks[0] = conf.TrunkReport{Name: "carrier", Why: "REGISTER answered 403"}
		}, fail, "trunks", "carrier is down: REGISTER answered 403", "firewall knows 203.0.113.10"},
		{"no trunk", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Report.Trunks = nil }, warn, "trunks", "there is none", "SIPTrunk"},
		{"bot unauthorized", func(_ *doctor.Snapshot, t *doctor.Tenant) {
			meta.SetStatusCondition(&t.Bots[0].Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionCredentialsValid, Status: "False", Reason: v1alpha1.ReasonUnauthorized, Message: "401"})
		}, fail, "works", "NaverWorksBot acme-bot: CredentialsValid is False: Unauthorized: 401", "Secret acme-works"},
		{"bot not seen", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Bots[0].Status.Conditions = nil }, warn, "works", "not looked", "log"},
		{"callback silent", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Network.Callback.Err = never }, fail, "callback", "does not answer: no answer", "internet"},
		{"callback elsewhere", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Network.Callback.Status = 404 }, fail, "callback", "answers 404", "Service acme-pbx"},
		{"callback behind a broken proxy", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Network.Callback.Status = 502 }, fail, "callback", "answers 502", "endpointslices"},
		{"callback of somebody else", func(_ *doctor.Snapshot, t *doctor.Tenant) { t.Network.Callback.Status = 200 }, fail, "callback", "not our PBX", "sign-in"},
	}
}

// TestReadyGivesWayToItsCause: two findings of one cause would hide it.
func TestReadyGivesWayToItsCause(t *testing.T) {
	s := gather(t, reader(t, interceptor.Funcs{}), doctor.Scope{})
	condition(&s.Tenants[0], v1alpha1.ConditionReady, "False", "NotReady", "")
	lines := func() (n int) {
		for _, f := range doctor.Examine(s) {
			if strings.HasPrefix(f.Message, "Ready is") {
				n++
			}
		}
		return n
	}
	if lines() != 1 {
		t.Error("Ready alone is not told")
	}
	condition(&s.Tenants[0], v1alpha1.ConditionPodRunning, "False", "Crashing", "")
	if lines() != 0 {
		t.Error("Ready is told beside its cause")
	}
}

func TestWhatCannotBeReadIsTold(t *testing.T) {
	forbidden := interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
		if _, ok := list.(*v1alpha1.PBXTenantList); ok {
			return c.List(ctx, list, opts...)
		}
		return apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "", errors.New("no"))
	}}
	s := gather(t, reader(t, forbidden), doctor.Scope{})
	if len(s.Unreadable) < 8 || len(s.Tenants) != 1 {
		t.Errorf("%d unreadable, %d tenants", len(s.Unreadable), len(s.Tenants))
	}
	for _, f := range doctor.Examine(s) {
		if f.Level == doctor.Fail {
			t.Errorf("what was not seen is called wrong: %+v", f)
		}
	}
}

func TestAnUnknownTenantIsAnError(t *testing.T) {
	g := doctor.Gatherer{Reader: reader(t, interceptor.Funcs{})}
	err := g.Gather(t.Context(), &doctor.Snapshot{}, doctor.Scope{Namespace: "acme", Name: "x"})
	if err == nil || !strings.Contains(err.Error(), "no PBXTenant acme/x: kubectl get pbxtenants -A lists them") {
		t.Error(err)
	}
}
