package compile

import (
	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

// Input is everything that one tenant's document is made of. Objects of other
// tenants are not expected in it; defaults of the schema are applied again
// where a field is empty.
type Input struct {
	Class  *v1alpha1.PBXClass // nil: a problem
	Tenant *v1alpha1.PBXTenant
	Plans  []v1alpha1.ExtensionPlan
	Trunks []v1alpha1.SIPTrunk
	Flows  []v1alpha1.CallFlow
	Bots   []v1alpha1.NaverWorksBot
	// Secrets of the tenant's namespace by name, the generated ones too.
	Secrets map[string]map[string][]byte
	Ports   conf.Ports
	// Advertise maps node names to addresses; "" is the entry without a node
	// name. With a class of from: Static it may be nil.
	Advertise  map[string][]string
	Generation string
	// TrustedProxies and TrustedCAs are the installation's; they go into the
	// document as they are.
	TrustedProxies []string
	TrustedCAs     string
}
