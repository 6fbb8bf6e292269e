package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/desired"
)

const (
	// missingAgain is how often a Secret that manifests name and that does not
	// exist is looked for: no watch would tell of it.
	missingAgain = 15 * time.Second
	// secretsAtOnce is how many Secrets of one tenant are made at a time.
	secretsAtOnce = 8
)

// secret returns the data of a Secret that a manifest names; false: there is
// none. What the cache does not have is read once from the API server and
// labelled, so that the cache has it from then on.
func (o *operator) secret(ctx context.Context, name types.NamespacedName) (map[string][]byte, bool, error) {
	var s corev1.Secret
	err := o.client.Get(ctx, name, &s)
	if err == nil {
		return s.Data, true, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, false, err
	}
	if err := o.live.Get(ctx, name, &s); err != nil {
		return nil, false, client.IgnoreNotFound(err)
	}
	// Who may write manifests may not for that reason read every Secret of the
	// namespace: an account's token is none of ours.
	if s.Type == corev1.SecretTypeServiceAccountToken {
		return nil, false, nil
	}
	if _, labelled := s.Labels[v1alpha1.LabelWatched]; labelled {
		return s.Data, true, nil // the cache is about to show it
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]string{v1alpha1.LabelWatched: "true"}}})
	if err != nil {
		return nil, false, err
	}
	data := s.Data
	meta := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}}
	meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := o.client.Patch(ctx, meta, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return nil, false, client.IgnoreNotFound(err)
	}
	return data, true, nil
}

// gatherSecrets reads what the manifests name and what was generated before.
func (o *operator) gatherSecrets(ctx context.Context, s *scene) error {
	s.secrets = map[string]map[string][]byte{}
	for _, name := range o.namedSecrets(s) {
		data, found, err := o.secret(ctx, types.NamespacedName{Namespace: s.tenant.Namespace, Name: name})
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
		for _, name := range secretRefs(x) {
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
	wanted := compile.MissingSecrets(compile.Input{Tenant: s.tenant, Plans: s.plans, Secrets: s.secrets})
	made := make([]map[string][]byte, len(wanted))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(secretsAtOnce)
	for i, w := range wanted {
		data, err := w.Make(o.Random)
		if err != nil {
			return err
		}
		g.Go(func() error {
			made[i], err = o.makeSecret(ctx, s.tenant, w, data)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, w := range wanted {
		s.secrets[w.Name] = made[i]
	}
	return nil
}

// makeSecret creates one Secret. If it exists, since the cache lags or somebody
// else wrote it, its content stays; only a key that is missing is added.
func (o *operator) makeSecret(ctx context.Context, t *v1alpha1.PBXTenant, w compile.SecretWanted, data map[string][]byte) (map[string][]byte, error) {
	err := o.client.Create(ctx, desired.Secret(t, w.Name, data))
	if err == nil {
		return data, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("secret %s/%s: %w", w.Namespace, w.Name, err)
	}
	have := &corev1.Secret{}
	if err := o.live.Get(ctx, types.NamespacedName{Namespace: w.Namespace, Name: w.Name}, have); err != nil {
		return nil, fmt.Errorf("secret %s/%s: %w", w.Namespace, w.Name, err)
	}
	_, labelled := have.Labels[v1alpha1.LabelWatched]
	if labelled && len(have.Data[w.Key]) > 0 {
		return have.Data, nil
	}
	before := have.DeepCopy()
	metav1.SetMetaDataLabel(&have.ObjectMeta, v1alpha1.LabelWatched, "true")
	if len(have.Data[w.Key]) == 0 {
		if have.Data == nil {
			have.Data = map[string][]byte{}
		}
		maps.Copy(have.Data, data)
	}
	if err := o.client.Patch(ctx, have, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return nil, fmt.Errorf("secret %s/%s: %w", w.Namespace, w.Name, err)
	}
	return have.Data, nil
}
