package worksync

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/naverworks"
	"github.com/dipcast/dipcast/controllers/roster"
)

func synced(p *v1alpha1.ExtensionPlan) *metav1.Condition {
	return meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionDirectorySynced)
}

// settle decides about one plan and writes it down.
func (l *Line) settle(ctx context.Context, s *directoryScene, p *v1alpha1.ExtensionPlan, c *roster.Collector) error {
	if c.Empty() {
		where := fmt.Sprintf("domain %d has no member: see spec.domainID of NaverWorksBot %s", s.bot.Spec.DomainID, s.bot.Name)
		if unit := p.Spec.Directory.OrgUnit; unit != "" {
			where = "nobody belongs to spec.directory.orgUnit " + unit + ": see its ID in the directory"
		}
		return l.write(ctx, p, p.Status.Directory, naverworks.No(v1alpha1.ReasonNotFound, where+"; the last list stays in force"))
	}
	claims := roster.NewClaims(s.tenant, s.plans, s.flows, p.Name)
	in := roster.Input{
		Directory: *p.Spec.Directory, People: c.People(), Claims: claims, Room: roster.MaxExtensions,
		Approved: p.Annotations[v1alpha1.AnnotationApproveRemoval],
	}
	if p.Status.Directory != nil {
		in.Current = p.Status.Directory.Extensions
	}
	if s.class != nil {
		in.Room = int(s.class.Spec.Limits.Extensions) - claims.Extensions()
	}
	out := roster.Decide(in)
	if err := l.renewPasswords(ctx, s.name, out.PassedOn); err != nil {
		return err
	}
	before := in.Current
	wasHeld := synced(p) != nil && synced(p).Reason == v1alpha1.ReasonMassRemoval
	now := &v1alpha1.DirectoryStatus{
		Count: int32(len(out.Extensions)), Extensions: out.Extensions, Pending: out.Pending, Notes: out.Notes,
	}
	v := verdictOf(p, out, len(before))
	if err := l.write(ctx, p, now, v); err != nil {
		return err
	}
	if note := changesOf(before, out.Extensions); note != "" {
		l.Tell(p, Event{Reason: "DirectoryApplied", Action: "Sync", Note: note})
	}
	if out.Held && !wasHeld {
		l.Tell(p, Event{Warning: true, Reason: "MassRemoval", Action: "Hold", Note: v.Message})
	}
	return nil
}

// verdictOf says what became of the directory.
func verdictOf(p *v1alpha1.ExtensionPlan, out roster.Outcome, had int) naverworks.Verdict {
	switch {
	case out.Held:
		return naverworks.No(v1alpha1.ReasonMassRemoval, fmt.Sprintf(
			"%d of %d extensions would vanish at once and stay: see status.directory.pending; if that is right: kubectl annotate extensionplan -n %s %s --overwrite %s=%s; otherwise correct the directory or spec.directory.orgUnit",
			out.Pending.Remove, had, p.Namespace, p.Name, v1alpha1.AnnotationApproveRemoval, out.Pending.Hash))
	case p.Spec.Directory.Apply == v1alpha1.DirectoryDryRun && out.Pending != nil:
		return naverworks.No(v1alpha1.ReasonDryRun, "the directory differs and nothing is changed: see status.directory.pending; set spec.directory.apply to Automatic to put it in force")
	case len(out.Notes) > 0:
		return naverworks.Yes(v1alpha1.ReasonSynced, "the extensions of the directory are in force; not everybody got one: see status.directory.notes")
	}
	return naverworks.Yes(v1alpha1.ReasonSynced, "the extensions of the directory are in force")
}

// changesOf says in one line how two lists differ; "" if they do not.
func changesOf(before, now []v1alpha1.DirectoryExtension) string {
	old := make(map[string]v1alpha1.DirectoryExtension, len(before))
	for _, e := range before {
		old[e.Number] = e
	}
	var added, changed []string
	for _, e := range now {
		was, there := old[e.Number]
		delete(old, e.Number)
		switch {
		case !there:
			added = append(added, e.Number)
		case was != e:
			changed = append(changed, e.Number)
		}
	}
	var removed []string
	for _, e := range before {
		if _, left := old[e.Number]; left {
			removed = append(removed, e.Number)
		}
	}
	var parts []string
	for _, part := range []struct {
		word    string
		numbers []string
	}{{"added", added}, {"changed", changed}, {"removed", removed}} {
		if len(part.numbers) > 0 {
			parts = append(parts, part.word+" "+some(part.numbers))
		}
	}
	return strings.Join(parts, "; ")
}

// some lists the first numbers and counts the others.
func some(numbers []string) string {
	const most = 10
	if len(numbers) <= most {
		return strings.Join(numbers, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(numbers[:most], ", "), len(numbers)-most)
}

// write puts a directory and its condition into the plan's status, here and at
// the API server. The plan's Accepted is another reconciler's: where the status
// has changed since, the two parts that are ours are written into the new one.
func (l *Line) write(ctx context.Context, p *v1alpha1.ExtensionPlan, d *v1alpha1.DirectoryStatus, v naverworks.Verdict) error {
	generation, first := p.Generation, true
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if !first {
			if err := l.Live.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
				return client.IgnoreNotFound(err)
			}
		}
		first = false
		before := p.DeepCopy()
		p.Status.Directory = d
		if v == (naverworks.Verdict{}) {
			meta.RemoveStatusCondition(&p.Status.Conditions, v1alpha1.ConditionDirectorySynced)
		} else {
			l.Set(&p.Status.Conditions, generation, v.Condition(v1alpha1.ConditionDirectorySynced))
		}
		return client.IgnoreNotFound(l.Report(ctx, before, p))
	})
}

// failDirectory says on every plan why the directory could not be read. What
// was taken from it stays in force.
func (l *Line) failDirectory(ctx context.Context, s *directoryScene, v naverworks.Verdict) error {
	if !strings.Contains(v.Message, "last list") {
		v.Message += "; the last list stays in force"
	}
	for _, p := range s.wanted() {
		if err := l.write(ctx, p, p.Status.Directory, v); err != nil {
			return err
		}
	}
	return nil
}

// leaveDirectory takes out of a plan's status what belongs to a spec.directory
// that is no more.
func (l *Line) leaveDirectory(ctx context.Context, p *v1alpha1.ExtensionPlan) error {
	if p.Spec.Directory != nil || p.Status.Directory == nil && synced(p) == nil {
		return nil
	}
	before := p.Status.Directory
	if err := l.write(ctx, p, nil, naverworks.Verdict{}); err != nil {
		return err
	}
	if before != nil && len(before.Extensions) > 0 {
		l.Tell(p, Event{Reason: "DirectoryApplied", Action: "Sync", Note: changesOf(before.Extensions, nil)})
	}
	return nil
}

// renewPasswords deletes the generated passwords of numbers that pass from one
// person to another one, before the other one gets the number: the tenant's
// reconciler makes new ones. Those of numbers that vanish are deleted by that
// reconciler, as nothing wants them any more: a password must not outlive its
// person's time in the company.
func (l *Line) renewPasswords(ctx context.Context, tenant types.NamespacedName, numbers []string) error {
	for _, n := range slices.Sorted(slices.Values(numbers)) {
		name := types.NamespacedName{Namespace: tenant.Namespace, Name: compile.ExtensionSecret(tenant.Name, n)}
		var secret corev1.Secret
		if err := l.Client.Get(ctx, name, &secret); err != nil {
			if client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("secret %s: %w", name, err)
			}
			continue
		}
		if secret.Labels[v1alpha1.LabelGenerated] == "" || secret.Labels[v1alpha1.LabelTenant] != tenant.Name {
			continue // somebody's own
		}
		uid := secret.UID
		if err := l.Client.Delete(ctx, &secret, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("secret %s: %w", name, err)
		}
	}
	return nil
}
