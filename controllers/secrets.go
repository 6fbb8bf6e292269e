package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/watch"
)

// missingAgain is how often a Secret that manifests name and that does not
// exist is looked for: no watch would tell of it.
const missingAgain = 15 * time.Second

// gatherSecrets reads what the manifests name and what was generated before.
func (o *operator) gatherSecrets(ctx context.Context, s *scene) error {
	s.secrets = map[string]map[string][]byte{}
	for _, name := range o.namedSecrets(s) {
		data, found, err := o.secrets.Get(ctx, types.NamespacedName{Namespace: s.tenant.Namespace, Name: name})
		if err != nil {
			return fmt.Errorf("secret %s/%s: %w", s.tenant.Namespace, name, err)
		}
		if !found {
			s.after(missingAgain)
			continue
		}
		s.secrets[name] = data
	}
	// Without a Secret given, the compiler lists all that it wants generated.
	for _, w := range compile.MissingSecrets(compile.Input{Tenant: s.tenant, Plans: s.plans}) {
		var secret corev1.Secret
		err := o.client.Get(ctx, types.NamespacedName{Namespace: w.Namespace, Name: w.Name}, &secret)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("secret %s/%s: %w", w.Namespace, w.Name, err)
		}
		s.secrets[w.Name] = secret.Data
	}
	return nil
}

func (o *operator) namedSecrets(s *scene) []string {
	names := map[string]bool{}
	add := func(x client.Object) {
		for _, name := range watch.SecretRefs(x) {
			names[name] = true
		}
	}
	add(s.tenant)
	for i := range s.plans {
		add(&s.plans[i])
	}
	for i := range s.trunks {
		add(&s.trunks[i])
	}
	for i := range s.bots {
		add(&s.bots[i])
	}
	return slices.Sorted(maps.Keys(names))
}

// makeSecrets makes what is to be generated and is not there.
func (o *operator) makeSecrets(ctx context.Context, s *scene) error {
	made, err := o.secrets.Make(ctx, s.tenant, compile.MissingSecrets(compile.Input{Tenant: s.tenant, Plans: s.plans, Secrets: s.secrets}))
	if err != nil {
		return err
	}
	maps.Copy(s.secrets, made)
	return nil
}
