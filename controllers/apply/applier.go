package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// ErrForeign is an object of a wanted name that is not the operator's.
var ErrForeign = errors.New("exists and is not the operator's: delete or rename it")

// Outcome is what Apply did.
type Outcome int

// The outcomes.
const (
	Unchanged Outcome = iota
	Created
	Changed // something else is wanted than before
	PutBack // somebody had changed it
)

// Applier writes objects. Make it with New.
type Applier struct {
	client client.Client
	live   client.Reader

	mu sync.Mutex
	// equal remembers what was compared and found right, so that an object that
	// nobody touched is not compared again: by tenant, then by object.
	equal map[types.NamespacedName]map[identity]state
}

type identity struct {
	gvk  schema.GroupVersionKind
	name types.NamespacedName
}

type state struct {
	uid     types.UID
	version string // resourceVersion
	hash    string
}

// New returns an Applier that reads from the client, a cache, and for what the
// cache does not show from live, the API server.
func New(c client.Client, live client.Reader) *Applier {
	return &Applier{client: c, live: live, equal: map[types.NamespacedName]map[identity]state{}}
}

// Apply makes the object of want's kind and name be as want says. An object
// that is being deleted is left alone: its end is an event, and it can be made
// anew then.
func (a *Applier) Apply(ctx context.Context, want client.Object) (Outcome, error) {
	u, id, err := a.prepare(want)
	if err != nil {
		return Unchanged, err
	}
	have, err := a.cached(ctx, want, id)
	if err != nil {
		return Unchanged, err
	}
	if have == nil {
		if err := a.checkFree(ctx, want, id); err != nil {
			return Unchanged, err
		}
		return Created, a.write(ctx, u, id)
	}
	if have.GetDeletionTimestamp() != nil || leftOver(have, want) {
		return Unchanged, nil
	}
	if !ours(have, want) {
		return Unchanged, fmt.Errorf("%s %s: %w", id.gvk.Kind, id.name, ErrForeign)
	}
	now := state{have.GetUID(), have.GetResourceVersion(), u.GetAnnotations()[v1alpha1.AnnotationApplied]}
	if a.remembered(want, id, now) {
		return Unchanged, nil
	}
	outcome, err := a.compare(u, have)
	if err != nil {
		return Unchanged, err
	}
	if outcome == Unchanged {
		a.remember(want, id, now)
		return Unchanged, nil
	}
	if err := a.takeOver(ctx, have, id); err != nil {
		return Unchanged, err
	}
	return outcome, a.write(ctx, u, id)
}

// compare tells why an object has to be written, if it has.
func (a *Applier) compare(want *unstructured.Unstructured, have client.Object) (Outcome, error) {
	if have.GetAnnotations()[v1alpha1.AnnotationApplied] != want.GetAnnotations()[v1alpha1.AnnotationApplied] {
		return Changed, nil
	}
	if have.GetAnnotations()[intrudersKey] != "" {
		return PutBack, nil
	}
	same, err := stands(want, have)
	if err != nil || same {
		return Unchanged, err
	}
	return PutBack, nil
}

// Delete removes an object that must not exist, if it exists and owner is its
// controller, and reports whether it did.
func (a *Applier) Delete(ctx context.Context, kind client.Object, owner types.UID) (changed bool, err error) {
	err = a.client.Get(ctx, client.ObjectKeyFromObject(kind), kind)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	controller := metav1.GetControllerOfNoCopy(kind)
	if kind.GetDeletionTimestamp() != nil || controller == nil || controller.UID != owner {
		return false, nil
	}
	uid := kind.GetUID()
	err = a.client.Delete(ctx, kind, client.Preconditions{UID: &uid})
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("delete %s: %w", client.ObjectKeyFromObject(kind), err)
	}
	return true, nil
}

// prepare turns an object into what is applied: without status and without
// what only the API server sets, and with the hash of the rest.
func (a *Applier) prepare(want client.Object) (*unstructured.Unstructured, identity, error) {
	gvk, err := apiutil.GVKForObject(want, a.client.Scheme())
	if err != nil {
		return nil, identity{}, err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(want)
	if err != nil {
		return nil, identity{}, fmt.Errorf("%s %s: %w", gvk.Kind, client.ObjectKeyFromObject(want), err)
	}
	if _, shared := want.(*unstructured.Unstructured); shared {
		content = runtime.DeepCopyJSON(content)
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(gvk)
	delete(u.Object, "status")
	dropNil(u.Object)
	text, err := json.Marshal(u.Object)
	if err != nil {
		return nil, identity{}, fmt.Errorf("%s %s: %w", gvk.Kind, client.ObjectKeyFromObject(want), err)
	}
	sum := sha256.Sum256(text)
	annotations := u.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.AnnotationApplied] = hex.EncodeToString(sum[:8])
	u.SetAnnotations(annotations)
	return u, identity{gvk, client.ObjectKeyFromObject(want)}, nil
}

// dropNil removes the empty times and sections that Go's types write out and
// that nobody means: creationTimestamp: null.
func dropNil(m map[string]any) {
	for key, value := range m {
		switch v := value.(type) {
		case nil:
			delete(m, key)
		case map[string]any:
			dropNil(v)
		case []any:
			for _, element := range v {
				if inner, ok := element.(map[string]any); ok {
					dropNil(inner)
				}
			}
		}
	}
}

// cached returns the object as the cache has it, nil if it has none.
func (a *Applier) cached(ctx context.Context, want client.Object, id identity) (client.Object, error) {
	have, err := a.empty(want, id)
	if err != nil {
		return nil, err
	}
	err = a.client.Get(ctx, id.name, have)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return have, err
}

func (a *Applier) empty(want client.Object, id identity) (client.Object, error) {
	if _, ok := want.(*unstructured.Unstructured); ok {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(id.gvk)
		return u, nil
	}
	made, err := a.client.Scheme().New(id.gvk)
	if err != nil {
		return nil, err
	}
	have, ok := made.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%s is no object of the API", id.gvk)
	}
	return have, nil
}

// checkFree makes sure that an object which the cache does not show, since it
// lacks our label, is not somebody else's.
func (a *Applier) checkFree(ctx context.Context, want client.Object, id identity) error {
	var have metav1.PartialObjectMetadata
	have.SetGroupVersionKind(id.gvk)
	err := a.live.Get(ctx, id.name, &have)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case ours(&have, want):
		return nil
	case leftOver(&have, want):
		return fmt.Errorf("%s %s: is there still, of the tenant that had this name before", id.gvk.Kind, id.name)
	}
	return fmt.Errorf("%s %s: %w", id.gvk.Kind, id.name, ErrForeign)
}

// ours reports whether an object is the operator's, of the tenant that wants it:
// that tenant controls it, or nobody does and it has that tenant's label, as a
// volume that was kept. A person's Secret that a manifest names is in the cache
// as well and is neither.
func ours(have, want client.Object) bool {
	is, wanted := metav1.GetControllerOfNoCopy(have), metav1.GetControllerOfNoCopy(want)
	if is != nil && wanted != nil {
		return is.UID == wanted.UID
	}
	label, ok := have.GetLabels()[v1alpha1.LabelTenant]
	return ok && label == want.GetLabels()[v1alpha1.LabelTenant]
}

// leftOver reports whether an object belongs to a tenant of the same name that
// is gone: the garbage collector is about to remove it.
func leftOver(have, want client.Object) bool {
	is, wanted := metav1.GetControllerOfNoCopy(have), metav1.GetControllerOfNoCopy(want)
	return is != nil && wanted != nil && is.UID != wanted.UID &&
		is.Kind == wanted.Kind && is.Name == wanted.Name && is.APIVersion == wanted.APIVersion
}

// takeOver makes the fields that others added to the spec ours, so that the
// next apply, which does not name them, removes them.
func (a *Applier) takeOver(ctx context.Context, have client.Object, id identity) error {
	intruders := have.GetAnnotations()[intrudersKey]
	if intruders == "" {
		return nil
	}
	full, err := a.empty(have, id)
	if err != nil {
		return err
	}
	if err := a.live.Get(ctx, id.name, full); err != nil {
		return err
	}
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(full, sets.New(strings.Split(intruders, ",")...), v1alpha1.FieldOwner)
	if err != nil || patch == nil {
		return err
	}
	if err := a.client.Patch(ctx, full, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return fmt.Errorf("%s %s: take over what was added: %w", id.gvk.Kind, id.name, err)
	}
	return nil
}

func (a *Applier) write(ctx context.Context, u *unstructured.Unstructured, id identity) error {
	err := a.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(v1alpha1.FieldOwner), client.ForceOwnership)
	if meta.IsNoMatchError(err) {
		// The API went away under us; its return is an event.
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", id.gvk.Kind, id.name, err)
	}
	return nil
}

func (a *Applier) remembered(want client.Object, id identity, now state) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.equal[tenantOf(want)][id] == now
}

func (a *Applier) remember(want client.Object, id identity, now state) {
	a.mu.Lock()
	defer a.mu.Unlock()
	tenant := tenantOf(want)
	if a.equal[tenant] == nil {
		a.equal[tenant] = map[identity]state{}
	}
	a.equal[tenant][id] = now
}

// Forget drops what is remembered of a tenant that is gone.
func (a *Applier) Forget(tenant types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.equal, tenant)
}

func tenantOf(o client.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetLabels()[v1alpha1.LabelTenant]}
}
