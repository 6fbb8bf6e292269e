package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"

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

// atOnce is how many Secrets of one tenant are made at a time.
const atOnce = 8

// Keeper reads and makes Secrets.
type Keeper struct {
	client client.Client
	live   client.Reader
	random io.Reader
}

// New returns a Keeper that reads from the client, a cache of labelled Secrets,
// and what that does not show from live, the API server. Random must be fit for
// cryptography.
func New(c client.Client, live client.Reader, random io.Reader) *Keeper {
	return &Keeper{client: c, live: live, random: random}
}

// Get returns the data of a Secret that a manifest names; false: there is
// none. What the cache does not have is read once from the API server and
// labelled, so that the cache has it from then on.
func (k *Keeper) Get(ctx context.Context, name types.NamespacedName) (map[string][]byte, bool, error) {
	var s corev1.Secret
	err := k.client.Get(ctx, name, &s)
	if err == nil {
		if accounts(&s) {
			return nil, false, nil
		}
		return s.Data, true, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, false, err
	}
	if err := k.live.Get(ctx, name, &s); err != nil {
		return nil, false, client.IgnoreNotFound(err)
	}
	if accounts(&s) {
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
	if err := k.client.Patch(ctx, meta, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return nil, false, client.IgnoreNotFound(err)
	}
	return data, true, nil
}

// accounts reports whether a Secret is an account's token. Who may write
// manifests may not for that reason use every Secret of the namespace: such a
// token is none of ours.
func accounts(s *corev1.Secret) bool { return s.Type == corev1.SecretTypeServiceAccountToken }

// Make makes what is wanted and is not there, and returns all of it by name.
func (k *Keeper) Make(ctx context.Context, t *v1alpha1.PBXTenant, wanted []compile.SecretWanted) (map[string]map[string][]byte, error) {
	made := make([]map[string][]byte, len(wanted))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, w := range wanted {
		data, err := w.Make(k.random)
		if err != nil {
			return nil, errors.Join(err, g.Wait())
		}
		g.Go(func() error {
			made[i], err = k.make(ctx, t, w, data)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := map[string]map[string][]byte{}
	for i, w := range wanted {
		out[w.Name] = made[i]
	}
	return out, nil
}

// make creates one Secret. If it exists, since the cache lags or somebody
// else wrote it, its content stays; only a key that is missing is added.
func (k *Keeper) make(ctx context.Context, t *v1alpha1.PBXTenant, w compile.SecretWanted, data map[string][]byte) (map[string][]byte, error) {
	err := k.client.Create(ctx, desired.Secret(t, w.Name, data))
	if err == nil {
		return data, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("secret %s/%s: %w", w.Namespace, w.Name, err)
	}
	have := &corev1.Secret{}
	if err := k.live.Get(ctx, types.NamespacedName{Namespace: w.Namespace, Name: w.Name}, have); err != nil {
		return nil, fmt.Errorf("secret %s/%s: %w", w.Namespace, w.Name, err)
	}
	if accounts(have) {
		return nil, fmt.Errorf("secret %s/%s: is an account's token and not the operator's: delete or rename it", w.Namespace, w.Name)
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
	if err := k.client.Patch(ctx, have, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return nil, fmt.Errorf("secret %s/%s: %w", w.Namespace, w.Name, err)
	}
	return have.Data, nil
}
