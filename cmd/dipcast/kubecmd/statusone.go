package kubecmd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
	"github.com/dipcast/dipcast/cmd/dipcast/doctor"
	"github.com/dipcast/dipcast/controllers/desired"
)

// mostEvents is how many events are shown, the newest.
const mostEvents = 8

// tenantDetail is one tenant in full; its JSON is what scripts read.
type tenantDetail struct {
	tenantRow `json:",inline"`

	Console    string                 `json:"console"`
	Conditions []metav1.Condition     `json:"conditions"`
	Update     *v1alpha1.TenantUpdate `json:"update,omitempty"`
	Pod        *podRow                `json:"pod,omitempty"`
	Objects    []objectRow            `json:"objects"`
	Events     []eventRow             `json:"events"`
	Next       string                 `json:"next"`
}

type podRow struct {
	Name     string `json:"name"`
	Node     string `json:"node,omitempty"`
	Phase    string `json:"phase"`
	Ready    bool   `json:"ready"`
	Restarts int32  `json:"restarts"`
	Image    string `json:"image"`
}

// terminating is the phase of a pod that was told to end; kubectl says so, too.
const terminating = "Terminating"

// objectRow is one of the tenant's manifests.
type objectRow struct {
	Kind       string             `json:"kind"`
	Name       string             `json:"name"`
	Conditions []metav1.Condition `json:"conditions"`
}

type eventRow struct {
	Last    time.Time `json:"last"`
	Type    string    `json:"type"`
	Reason  string    `json:"reason"`
	Object  string    `json:"object"`
	Message string    `json:"message"`
	Count   int32     `json:"count,omitempty"`
}

func statusOne(ctx context.Context, f *flags, c *cluster.Cluster, name types.NamespacedName) error {
	t, err := c.Tenant(ctx, name)
	if err != nil {
		return err
	}
	d, err := detail(ctx, c, t)
	if err != nil {
		return err
	}
	if f.output == formatJSON || f.output == formatYAML {
		return f.print(d)
	}
	f.env.detail(f.env.Stdout, d)
	return nil
}

// detail reads all that belongs to a tenant.
func detail(ctx context.Context, c *cluster.Cluster, t *v1alpha1.PBXTenant) (*tenantDetail, error) {
	in := client.InNamespace(t.Namespace)
	var (
		plans   v1alpha1.ExtensionPlanList
		trunks  v1alpha1.SIPTrunkList
		flows   v1alpha1.CallFlowList
		bots    v1alpha1.NaverWorksBotList
		classes v1alpha1.PBXClassList
		events  corev1.EventList
	)
	for _, list := range []client.ObjectList{&plans, &trunks, &flows, &bots, &events} {
		if err := c.Reader.List(ctx, list, in); err != nil {
			return nil, cluster.Explain(fmt.Errorf("namespace %s: %w", t.Namespace, err))
		}
	}
	if err := c.Reader.List(ctx, &classes); err != nil {
		return nil, cluster.Explain(fmt.Errorf("PBXClasses: %w", err))
	}
	pod, err := c.Pod(ctx, cluster.Name(t))
	if err != nil {
		return nil, err
	}
	d := &tenantDetail{
		tenantRow: rowOf(t, trunks.Items, classes.Items), Console: doctor.ConsoleURL(t).String(),
		Conditions: t.Status.Conditions, Update: t.Status.Update, Pod: podOf(pod), Objects: []objectRow{},
	}
	add := func(kind, name string, ref v1alpha1.LocalRef, conditions []metav1.Condition) {
		if ref.Name == t.Name {
			d.Objects = append(d.Objects, objectRow{kind, name, conditions})
		}
	}
	for i := range plans.Items {
		add(v1alpha1.KindExtensionPlan, plans.Items[i].Name, plans.Items[i].Spec.TenantRef, plans.Items[i].Status.Conditions)
	}
	for i := range trunks.Items {
		add(v1alpha1.KindSIPTrunk, trunks.Items[i].Name, trunks.Items[i].Spec.TenantRef, trunks.Items[i].Status.Conditions)
	}
	for i := range flows.Items {
		add(v1alpha1.KindCallFlow, flows.Items[i].Name, flows.Items[i].Spec.TenantRef, flows.Items[i].Status.Conditions)
	}
	for i := range bots.Items {
		add(v1alpha1.KindNaverWorksBot, bots.Items[i].Name, bots.Items[i].Spec.TenantRef, bots.Items[i].Status.Conditions)
	}
	d.Events = eventsOf(d, events.Items)
	d.Next = next(d)
	return d, nil
}

func podOf(p *corev1.Pod) *podRow {
	if p == nil {
		return nil
	}
	row := &podRow{Name: p.Name, Node: p.Spec.NodeName, Phase: string(p.Status.Phase)}
	for i := range p.Spec.Containers {
		row.Image = p.Spec.Containers[i].Image
	}
	for _, s := range p.Status.ContainerStatuses {
		row.Ready, row.Restarts = s.Ready, s.RestartCount
		if s.State.Waiting != nil {
			row.Phase = s.State.Waiting.Reason
		}
	}
	if p.DeletionTimestamp != nil {
		row.Phase = terminating
	}
	return row
}

// eventsOf are the newest events about the tenant and what is made of it,
// oldest first.
func eventsOf(d *tenantDetail, list []corev1.Event) []eventRow {
	own := func(e *corev1.Event) bool {
		o := e.InvolvedObject
		switch o.Name {
		case d.Name, desired.PBXName(d.Name), desired.PodName(d.Name), desired.DataName(d.Name):
			return true
		}
		return slices.ContainsFunc(d.Objects, func(r objectRow) bool { return r.Kind == o.Kind && r.Name == o.Name })
	}
	rows := []eventRow{}
	for i := range list {
		e := &list[i]
		if own(e) {
			rows = append(rows, eventRow{lastSeen(e), e.Type, e.Reason, e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name, e.Message, max(e.Count, 1)})
		}
	}
	slices.SortStableFunc(rows, func(a, b eventRow) int { return cmp.Or(a.Last.Compare(b.Last), cmp.Compare(a.Message, b.Message)) })
	return rows[max(0, len(rows)-mostEvents):]
}

func lastSeen(e *corev1.Event) time.Time {
	last := e.LastTimestamp.Time
	if e.Series != nil {
		last = e.Series.LastObservedTime.Time
	}
	for _, other := range []time.Time{e.EventTime.Time, e.FirstTimestamp.Time} {
		if last.IsZero() {
			last = other
		}
	}
	return last.UTC()
}

// detail writes one tenant for people.
func (e *Env) detail(w io.Writer, d *tenantDetail) {
	const label = 11
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s%s%s\n", e.paint(strong, name), strings.Repeat(" ", label-len(name)), wrap(fmt.Sprintf(format, args...), label, e.columns()))
	}
	title := d.Namespace + "/" + d.Name
	if d.DisplayName != "" {
		title += " (" + d.DisplayName + ")"
	}
	line("Tenant", "%s, class %s", title, orDash(d.Class))
	line("Address", "%s", orDash(d.Address))
	line("Console", "%s", d.Console)
	if p := d.Pod; p != nil {
		ready := "not ready"
		if p.Ready {
			ready = "ready"
		}
		line("Pod", "%s on %s: %s, %s, %s, image %s", p.Name, orDash(p.Node), p.Phase, ready, many(int(p.Restarts), "restart"), p.Image)
	} else {
		line("Pod", "-")
	}
	if p := d.Ports; p != nil {
		line("Ports", "slot %s: SIP %d, SIPS %d, WSS %d, HTTP %d, admin %d, RTP %s", d.slot(), p.SIP, p.SIPS, p.WSS, p.HTTP, p.Admin, p.RTP)
	}
	line("Now", "%s, %s, %d of %s up", many(int(d.ActiveCalls), "call"), many(int(d.Registrations), "phone"), d.TrunksUp, many(d.Trunks, "trunk"))
	if u := d.Update; u != nil {
		state := "waits"
		if u.Started {
			state = "is being done"
		}
		line("Update", "%s to %s %s, for %s", u.Reason, orDash(u.Target), state, ago(e.Now().Sub(u.Since.Time)))
	}
	fmt.Fprintln(w)
	e.conditions(w, d.Conditions)
	e.objects(w, d.Objects)
	e.events(w, d.Events)
	line("Next", "%s", d.Next)
}

// conditions writes each with its message below; what is fine needs no more
// than a line.
func (e *Env) conditions(w io.Writer, list []metav1.Condition) {
	fmt.Fprintln(w, e.paint(strong, "Conditions"))
	if len(list) == 0 {
		fmt.Fprint(w, "  none\n\n")
		return
	}
	longest := 0
	for _, c := range list {
		longest = max(longest, len(c.Type))
	}
	for _, c := range ordered(list) {
		t := good
		if wrong, certain := doctor.Bad(c); wrong && certain {
			t = bad
		} else if wrong {
			t = doubt
		}
		fmt.Fprintf(w, "  %-*s  %s%s  %s\n", longest, c.Type, e.paint(t, string(c.Status)), strings.Repeat(" ", len("Unknown")-len(c.Status)), c.Reason)
		if c.Message != "" {
			fmt.Fprintf(w, "      %s\n", wrap(c.Message, 6, e.columns()))
		}
	}
	fmt.Fprintln(w)
}

// ordered puts Ready first, then the others as causes come before effects.
func ordered(list []metav1.Condition) []metav1.Condition {
	order := append([]string{v1alpha1.ConditionReady}, causes()...)
	rank := func(c metav1.Condition) int {
		if i := slices.Index(order, c.Type); i >= 0 {
			return i
		}
		return len(order)
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b metav1.Condition) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Type, b.Type))
	})
	return list
}

func (e *Env) objects(w io.Writer, list []objectRow) {
	fmt.Fprintln(w, e.paint(strong, "Manifests"))
	if len(list) == 0 {
		fmt.Fprintln(w, "  none")
	}
	longest := 0
	for _, o := range list {
		longest = max(longest, len(o.Kind+"/"+o.Name))
	}
	for _, o := range list {
		c, t := summary(o.Conditions)
		fmt.Fprintf(w, "  %-*s  %s\n", longest, o.Kind+"/"+o.Name, e.paint(t, c.Reason))
		if t != good && c.Message != "" {
			fmt.Fprintf(w, "      %s\n", wrap(c.Message, 6, e.columns()))
		}
	}
	fmt.Fprintln(w)
}

// summary is the condition of an object that a person should know of: one
// that is bad, else Ready, else Accepted.
func summary(list []metav1.Condition) (metav1.Condition, tone) {
	if len(list) == 0 {
		return metav1.Condition{Reason: "NotSeen", Message: "the operator has not looked at it yet"}, doubt
	}
	list = ordered(list)
	for _, want := range []bool{true, false} { // what is certain first
		for i := len(list) - 1; i >= 0; i-- { // Ready last: its cause says more
			if wrong, certain := doctor.Bad(list[i]); wrong && certain == want {
				if certain {
					return list[i], bad
				}
				return list[i], doubt
			}
		}
	}
	return list[0], good
}

func (e *Env) events(w io.Writer, list []eventRow) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(w, e.paint(strong, "Events"))
	for _, v := range list {
		t := plain
		if v.Type == corev1.EventTypeWarning {
			t = doubt
		}
		times := ""
		if v.Count > 1 {
			times = fmt.Sprintf(" (%d times)", v.Count)
		}
		fmt.Fprintf(w, "  %-4s %s %s%s\n      %s\n", ago(e.Now().Sub(v.Last)), e.paint(t, v.Reason), v.Object, times, wrap(v.Message, 6, e.columns()))
	}
	fmt.Fprintln(w)
}
