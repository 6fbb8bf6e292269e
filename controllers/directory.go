package controllers

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/watch"
)

// directoriesAtOnce bounds how many directories are held in memory at a time.
const directoriesAtOnce = 8

// setupDirectories wires what takes extensions from NAVER WORKS. It goes by
// tenant, since one read of the directory serves all plans of a tenant.
func (o *operator) setupDirectories(mgr manager.Manager) error {
	spec := predicate.GenerationChangedPredicate{}
	return builder.ControllerManagedBy(mgr).Named("directory").
		Watches(&v1alpha1.ExtensionPlan{}, handler.EnqueueRequestsFromMapFunc(watch.ByTenantRef),
			builder.WithPredicates(predicate.Or[client.Object](spec, predicate.AnnotationChangedPredicate{}))).
		Watches(&v1alpha1.NaverWorksBot{}, handler.EnqueueRequestsFromMapFunc(watch.ByTenantRef), builder.WithPredicates(spec)).
		Watches(&v1alpha1.PBXTenant{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(spec)).
		WatchesRawSource(&o.wakers.directories).
		WithOptions(o.controller(directoriesAtOnce)).
		Complete(reconcile.Func(o.line.ReconcileDirectory))
}

// pruneSecrets deletes the generated passwords that no extension wants any
// more: a password must not outlive the person's time in the company, and who
// gets the number next gets another one. It waits for a good document, so that
// a wrong manifest costs nobody a password.
func (o *operator) pruneSecrets(ctx context.Context, s *scene) error {
	if s.document == nil {
		return nil
	}
	wanted := map[string]bool{}
	for _, w := range compile.MissingSecrets(compile.Input{Tenant: s.tenant, Plans: s.plans}) {
		wanted[w.Name] = true
	}
	var have corev1.SecretList
	own := client.MatchingLabels{v1alpha1.LabelTenant: s.tenant.Name, v1alpha1.LabelGenerated: "true"}
	if err := o.client.List(ctx, &have, client.InNamespace(s.tenant.Namespace), own, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	for i := range have.Items {
		name := have.Items[i].Name
		if wanted[name] || !strings.HasPrefix(name, compile.ExtensionSecret(s.tenant.Name, "")) {
			continue
		}
		secret := &corev1.Secret{}
		secret.Namespace, secret.Name = s.tenant.Namespace, name
		if _, err := o.applier.Delete(ctx, secret, s.tenant.UID); err != nil {
			return fmt.Errorf("secret %s/%s: %w", s.tenant.Namespace, name, err)
		}
	}
	return nil
}
