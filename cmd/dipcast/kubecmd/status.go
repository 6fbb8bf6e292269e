package kubecmd

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
	"github.com/dipcast/dipcast/controllers/compile"
)

const statusUsage = `
PROGRAM status [TENANT] [-n NAMESPACE | -A] [-o wide|json|yaml]

Without TENANT: every tenant on a line. With TENANT (NAME or NAMESPACE/NAME):
its conditions with their messages, its manifests, its pod, what happened
lately, and the next thing to do.
`

// tenantRow is one tenant in short; its JSON is what scripts read.
type tenantRow struct {
	Namespace     string                `json:"namespace"`
	Name          string                `json:"name"`
	DisplayName   string                `json:"displayName,omitempty"`
	Class         string                `json:"class"`
	Ready         string                `json:"ready"` // True, False, Unknown
	Reason        string                `json:"reason"`
	Message       string                `json:"message,omitempty"`
	Slot          *int32                `json:"slot,omitempty"`
	Ports         *v1alpha1.TenantPorts `json:"ports,omitempty"`
	Node          string                `json:"node,omitempty"`
	Address       string                `json:"address,omitempty"`
	Registrations int32                 `json:"registrations"`
	ActiveCalls   int32                 `json:"activeCalls"`
	TrunksUp      int                   `json:"trunksUp"`
	Trunks        int                   `json:"trunks"`
	Updating      string                `json:"updating,omitempty"` // reason; empty: nothing waits
	Created       time.Time             `json:"created"`
}

func status(ctx context.Context, env *Env, args []string) error {
	f := newFlags(env, "status", statusUsage, true, formatWide, formatJSON, formatYAML)
	rest, err := f.parse(args, 0)
	if err != nil {
		return err
	}
	c, namespace, err := f.connect()
	if err != nil {
		return err
	}
	if len(rest) == 1 {
		return statusOne(ctx, f, c, tenantName(rest[0], c.Namespace))
	}
	return statusAll(ctx, f, c, namespace)
}

func statusAll(ctx context.Context, f *flags, c *cluster.Cluster, namespace string) error {
	var tenants v1alpha1.PBXTenantList
	if err := c.Reader.List(ctx, &tenants, client.InNamespace(namespace)); err != nil {
		return cluster.Explain(fmt.Errorf("PBXTenants: %w", err))
	}
	var trunks v1alpha1.SIPTrunkList
	if err := c.Reader.List(ctx, &trunks, client.InNamespace(namespace)); err != nil {
		return cluster.Explain(fmt.Errorf("SIPTrunks: %w", err))
	}
	var classes v1alpha1.PBXClassList
	if err := c.Reader.List(ctx, &classes); err != nil {
		return cluster.Explain(fmt.Errorf("PBXClasses: %w", err))
	}
	rows := make([]tenantRow, len(tenants.Items))
	for i := range tenants.Items {
		rows[i] = rowOf(&tenants.Items[i], trunks.Items, classes.Items)
	}
	slices.SortFunc(rows, func(a, b tenantRow) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	switch {
	case f.output == formatJSON || f.output == formatYAML:
		return f.print(struct {
			Tenants []tenantRow `json:"tenants"`
		}{rows})
	case len(rows) == 0 && namespace != "":
		fmt.Fprintf(f.env.Stderr, "No PBXTenant in namespace %s; -A looks in all.\n", namespace)
	case len(rows) == 0:
		fmt.Fprintln(f.env.Stderr, "No PBXTenant in the cluster: kubectl apply -f config/samples/demo makes one.")
	default:
		f.env.roomy(f.output).tenants(rows, namespace == "", f.output == formatWide)
	}
	return nil
}

// rowOf is a tenant in short.
func rowOf(t *v1alpha1.PBXTenant, trunks []v1alpha1.SIPTrunk, classes []v1alpha1.PBXClass) tenantRow {
	st := &t.Status
	row := tenantRow{
		Namespace: t.Namespace, Name: t.Name, DisplayName: t.Spec.DisplayName, Class: t.Spec.ClassName,
		Ready: string(metav1.ConditionUnknown), Reason: "NotSeen", Message: "the operator has not looked at this tenant yet",
		Slot: st.Slot, Ports: st.Ports, Node: st.NodeName, Address: st.Address,
		Registrations: st.Registrations, ActiveCalls: st.ActiveCalls, Created: t.CreationTimestamp.UTC(),
	}
	if class := compile.ChooseClass(classes, t); class != nil {
		row.Class = class.Name
	}
	if c := meta.FindStatusCondition(st.Conditions, v1alpha1.ConditionReady); c != nil {
		row.Ready, row.Reason, row.Message = string(c.Status), c.Reason, c.Message
	}
	if c := meta.FindStatusCondition(st.Conditions, v1alpha1.ConditionUpdating); c != nil && c.Status == metav1.ConditionTrue {
		row.Updating = c.Reason
	}
	for i := range trunks {
		if trunks[i].Namespace != t.Namespace || trunks[i].Spec.TenantRef.Name != t.Name {
			continue
		}
		row.Trunks++
		if meta.IsStatusConditionTrue(trunks[i].Status.Conditions, v1alpha1.ConditionReady) {
			row.TrunksUp++
		}
	}
	return row
}

func (r *tenantRow) slot() string {
	if r.Slot == nil {
		return "-"
	}
	return strconv.Itoa(int(*r.Slot))
}

func (r *tenantRow) ports() string {
	if r.Ports == nil {
		return "-"
	}
	return fmt.Sprintf("%d,RTP %s", r.Ports.SIP, r.Ports.RTP)
}

// tenants writes the table.
func (e *Env) tenants(rows []tenantRow, namespaces, wide bool) {
	updating := wide || slices.ContainsFunc(rows, func(r tenantRow) bool { return r.Updating != "" })
	columns := []column{
		{head: "TENANT"},
		{head: "READY", tone: truth},
		{head: "REASON", rank: 1},
		{head: "CALLS"},
		{head: "PHONES"},
		{head: "TRUNKS", tone: ratio},
		{head: "SLOT", rank: 4},
		{head: "NODE", rank: 3},
		{head: "ADDRESS", rank: 2},
	}
	if namespaces {
		columns = slices.Insert(columns, 0, column{head: "NAMESPACE"})
	}
	if updating {
		columns = append(columns, column{head: "UPDATING", rank: 1, tone: func(cell string) tone {
			if cell == "-" {
				return plain
			}
			return doubt
		}})
	}
	if wide {
		columns = append(columns, column{head: "CLASS"}, column{head: "PORTS"}, column{head: "AGE"})
	}
	cells := make([][]string, len(rows))
	for i := range rows {
		r := &rows[i]
		line := []string{
			r.Name, r.Ready, r.Reason, strconv.Itoa(int(r.ActiveCalls)), strconv.Itoa(int(r.Registrations)),
			fmt.Sprintf("%d/%d", r.TrunksUp, r.Trunks), r.slot(), orDash(r.Node), orDash(strings.TrimPrefix(r.Address, "sip:")),
		}
		if namespaces {
			line = slices.Insert(line, 0, r.Namespace)
		}
		if updating {
			line = append(line, orDash(r.Updating))
		}
		if wide {
			line = append(line, orDash(r.Class), r.ports(), ago(e.Now().Sub(r.Created)))
		}
		cells[i] = line
	}
	e.table(e.Stdout, columns, cells)
}

// truth colours the status of a condition that is good when true.
func truth(cell string) tone {
	switch cell {
	case string(metav1.ConditionTrue):
		return good
	case string(metav1.ConditionFalse):
		return bad
	}
	return doubt
}

func ratio(cell string) tone {
	if up, all, ok := strings.Cut(cell, "/"); ok && up != all {
		return bad
	}
	return plain
}
