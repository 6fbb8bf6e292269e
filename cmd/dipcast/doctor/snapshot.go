package doctor

import (
	"crypto/x509"
	"net/netip"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

// Level says how bad a finding is.
type Level string

// The levels of findings.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "FAIL"
)

// Finding is the outcome of one check of one thing.
type Finding struct {
	Subject string `json:"subject"` // "cluster", "class NAME", "NAMESPACE/TENANT"
	Check   string `json:"check"`   // one word
	Level   Level  `json:"level"`
	Message string `json:"message"`
	Cure    string `json:"cure,omitempty"` // never empty for warn and FAIL
}

// Snapshot is all that the checks look at.
type Snapshot struct {
	Now     time.Time
	Version string // of this program

	Wanted    []apiextensionsv1.CustomResourceDefinition // as this program carries them
	CRDs      []apiextensionsv1.CustomResourceDefinition // of our group, in the cluster
	Operators []appsv1.Deployment
	Classes   []v1alpha1.PBXClass
	Nodes     []corev1.Node
	Tenants   []Tenant
	// Unreadable are the things that the API server did not give.
	Unreadable []Unreadable
}

// Unreadable is something that could not be read and why.
type Unreadable struct {
	What string // as the checks ask for it: one of the Read constants
	Err  error
}

// What Gather reads.
const (
	ReadCRDs      = "customresourcedefinitions"
	ReadOperator  = "deployments"
	ReadClasses   = "pbxclasses"
	ReadNodes     = "nodes"
	ReadTenants   = "pbxtenants"
	ReadNamespace = "namespaces"
	ReadPods      = "pods"
	ReadVolumes   = "persistentvolumeclaims"
	ReadBudgets   = "poddisruptionbudgets"
	ReadObjects   = "plans, trunks, flows and bots"
)

// unreadable returns why something could not be read; nil if it was.
func (s *Snapshot) unreadable(what string) error {
	for _, u := range s.Unreadable {
		if u.What == what {
			return u.Err
		}
	}
	return nil
}

// Tenant is one tenant with all that belongs to it.
type Tenant struct {
	Tenant    v1alpha1.PBXTenant
	Class     *v1alpha1.PBXClass // nil: there is none of that name
	Namespace *corev1.Namespace
	Pod       *corev1.Pod
	Volume    *corev1.PersistentVolumeClaim
	Budget    *policyv1.PodDisruptionBudget
	Plans     []v1alpha1.ExtensionPlan
	Trunks    []v1alpha1.SIPTrunk
	Flows     []v1alpha1.CallFlow
	Bots      []v1alpha1.NaverWorksBot
	// Report is the PBX's own; ReportErr why there is none.
	Report    *conf.Report
	ReportErr error
	// Advertised are the addresses that phones and trunks are told.
	Advertised []netip.Addr
	Network    Network
}

// name is how findings name the tenant.
func (t *Tenant) name() string { return t.Tenant.Namespace + "/" + t.Tenant.Name }

// Network is what the network answered.
type Network struct {
	SIP      []SIPAnswer
	Host     Lookup   // A and AAAA of the domain
	UDP, TCP Services // SRV of the domain
	Web      Web
	Callback Callback
}

// SIPAnswer is the answer to one OPTIONS request.
type SIPAnswer struct {
	Address   netip.AddrPort
	Transport string // UDP or TCP
	Status    string // "200 OK"; empty with Err
	Err       error
}

// Lookup is the answer to a query for addresses.
type Lookup struct {
	Addresses []netip.Addr
	Err       error
}

// Services is the answer to a query for SRV records.
type Services struct {
	Name    string // that was asked
	Records []Service
	Err     error
}

// Service is one SRV record and where its target leads.
type Service struct {
	Target string
	Port   int
	Lookup Lookup
}

// Web is what the console's TLS handshake told.
type Web struct {
	Address     string            // host:port that was asked; empty: not asked
	Certificate *x509.Certificate // nil: no handshake
	Err         error             // also when the certificate is not trusted
}

// Callback is the answer to an unsigned callback.
type Callback struct {
	URL    string // empty: not asked
	Status int
	Err    error
}
