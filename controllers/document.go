package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/condition"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/rollout"
	"github.com/dipcast/dipcast/controllers/verdict"
	"github.com/dipcast/dipcast/pbx/conf"
)

// compile makes the tenant's document and tells each of its objects what was
// found.
func (o *operator) compile(_ context.Context, s *scene) error {
	document, problems := compile.Compile(compile.Input{
		Class: s.class, Tenant: s.tenant, Plans: s.plans, Trunks: s.trunks, Flows: s.flows, Bots: s.bots,
		Secrets: s.secrets, Ports: conf.Ports(s.ports), Advertise: s.nodes.Advertise,
		TrustedProxies: o.TrustedProxies, TrustedCAs: o.trust.PEM(),
	})
	s.problems = slices.Concat(problems, o.rivalries(s))
	compile.Sort(s.problems)
	if !compile.HasErrors(s.problems) && !s.ports.Zero() {
		if err := stamp(document); err != nil {
			return err
		}
		s.document, s.wanted = document, document.Generation
	} else {
		s.wanted = s.written()
	}
	o.verdicts.Set(tenantObject(s), o.verdictsOf(s))
	return nil
}

// rivalries are problems with other tenants: one domain or one bot for two.
// Only those that share something with this one are looked at.
func (o *operator) rivalries(s *scene) []compile.Problem {
	own := map[compile.Object]bool{tenantObject(s): true}
	for i := range s.bots {
		own[compile.Object{Kind: v1alpha1.KindNaverWorksBot, Namespace: s.tenant.Namespace, Name: s.bots[i].Name}] = true
	}
	fleet := compile.Fleet{Tenants: o.fleet.SameDomain(s.tenant), Bots: append(o.fleet.SameBots(s.bots), s.bots...)}
	var out []compile.Problem
	for _, p := range compile.CheckFleet(fleet) {
		if own[p.Object] {
			out = append(out, p)
		}
	}
	return out
}

// stamp names a document by its content: the same manifests give the same name.
func stamp(d *conf.Document) error {
	d.Generation = ""
	text, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("document: %w", err)
	}
	sum := sha256.Sum256(text)
	d.Generation = hex.EncodeToString(sum[:6])
	return nil
}

// written is the generation of the document that was written before; "": there
// is none.
func (s *scene) written() string { return s.lastGood().Generation }

// good is what matters of a document that was written before, while a new one is
// refused.
type good struct {
	Generation string `json:"generation"`
	Tenant     struct {
		Domain string `json:"domain"`
	} `json:"tenant"`
}

func (s *scene) lastGood() good {
	var d good
	if s.config == nil || json.Unmarshal(s.config.Data[v1alpha1.KeyDocument], &d) != nil {
		return good{}
	}
	return d
}

// inForce is the tenant with the domain that it may use: while its manifests are
// refused that is the one of the last good document. Nobody gets to the host of
// somebody else by writing it into a spec.
func (s *scene) inForce() *v1alpha1.PBXTenant {
	t := s.tenant
	if s.document == nil {
		t = t.DeepCopy()
		t.Spec.Domain = s.lastGood().Tenant.Domain
	}
	return t
}

// announce sets the generation on the running pod, which makes the kubelet
// refresh the mounted document at once. A pod that crashed with another one is
// left to the rollout, which replaces it: the kubelet would let it wait.
func (o *operator) announce(ctx context.Context, s *scene) error {
	if s.pod == nil || s.wanted == "" || s.pod.DeletionTimestamp != nil ||
		rollout.PodOf(s.pod, desired.ContainerPBX, s.podNode).Crashing {
		return nil
	}
	if s.pod.Annotations[v1alpha1.AnnotationConfigGeneration] != s.wanted {
		return o.annotate(ctx, s.pod, v1alpha1.AnnotationConfigGeneration, s.wanted)
	}
	seen, _ := o.pbxs.observer.Report(s.name())
	if !seen.Reachable || seen.Report == nil || seen.Report.Generation == s.wanted || seen.Report.RefusedGeneration == s.wanted {
		o.nudges.forget(s.name())
		return nil
	}
	due, again := o.nudges.due(s.name(), s.wanted, o.Now())
	s.after(again)
	if !due {
		return nil
	}
	return o.annotate(ctx, s.pod, v1alpha1.AnnotationConfigAsked, strconv.FormatInt(o.Now().Unix(), 10))
}

func (o *operator) annotate(ctx context.Context, pod *corev1.Pod, key, value string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{key: value}}})
	if err != nil {
		return err
	}
	if err := o.client.Patch(ctx, pod, client.RawPatch(types.MergePatchType, patch)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("annotation of pod %s: %w", pod.Name, err)
	}
	return nil
}

// verdictsOf says of each object of the tenant what the compiler found, and of
// each trunk what the PBX reports.
func (o *operator) verdictsOf(s *scene) map[compile.Object]verdict.Verdict {
	out := map[compile.Object]verdict.Verdict{}
	put := func(kind, name string) compile.Object {
		object := compile.Object{Kind: kind, Namespace: s.tenant.Namespace, Name: name}
		out[object] = verdict.Verdict{Accepted: verdict.Accepted(compile.Of(s.problems, object))}
		return object
	}
	for i := range s.plans {
		put(v1alpha1.KindExtensionPlan, s.plans[i].Name)
	}
	for i := range s.flows {
		put(v1alpha1.KindCallFlow, s.flows[i].Name)
	}
	for i := range s.bots {
		put(v1alpha1.KindNaverWorksBot, s.bots[i].Name)
	}
	seen, known := o.pbxs.observer.Report(s.name())
	for i := range s.trunks {
		object := put(v1alpha1.KindSIPTrunk, s.trunks[i].Name)
		v := out[object]
		if known || s.pod == nil {
			v.Ready = condition.TrunkReady(s.trunks[i].Name, seen)
		}
		out[object] = v
	}
	return out
}

func tenantObject(s *scene) compile.Object {
	return compile.Object{Kind: v1alpha1.KindPBXTenant, Namespace: s.tenant.Namespace, Name: s.tenant.Name}
}
