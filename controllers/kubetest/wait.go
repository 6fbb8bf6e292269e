package kubetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Patience is how long a test waits for what must come: far longer than it
// takes, since a busy machine is no failure.
const Patience = time.Minute

func isConflict(err error) bool { return apierrors.IsConflict(err) }

// Wait waits by watch until ok says of the object that it is as wanted. The
// object then is as the API server has it; gone is a nil error of ok with
// exists false.
func (c *Cluster) Wait(tb testing.TB, o client.Object, what string, ok func(exists bool) bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	defer cancel()
	if err := c.wait(ctx, o, ok); err != nil {
		tb.Fatalf("%T %s: waited in vain for: %s (%v)\n%s", o, client.ObjectKeyFromObject(o), what, err, describe(o))
	}
}

func (c *Cluster) wait(ctx context.Context, o client.Object, ok func(exists bool) bool) error {
	list, err := c.listOf(o)
	if err != nil {
		return err
	}
	key := client.ObjectKeyFromObject(o)
	only := []client.ListOption{client.InNamespace(key.Namespace), client.MatchingFields{"metadata.name": key.Name}}
	for {
		w, err := c.Client.Watch(ctx, list, only...)
		if err != nil {
			return err
		}
		// What changed before the watch began is in this answer.
		err = c.Client.Get(ctx, key, o)
		if client.IgnoreNotFound(err) != nil {
			w.Stop()
			return err
		}
		if ok(err == nil) {
			w.Stop()
			return nil
		}
		done, err := c.follow(ctx, w, o, ok)
		w.Stop()
		if done || err != nil {
			return err
		}
	}
}

// follow reads the events of a watch until it ends.
func (c *Cluster) follow(ctx context.Context, w watch.Interface, o client.Object, ok func(exists bool) bool) (bool, error) {
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case e, open := <-w.ResultChan():
			if !open || e.Type == watch.Error {
				return false, nil
			}
			err := c.Client.Get(ctx, client.ObjectKeyFromObject(o), o)
			if client.IgnoreNotFound(err) != nil {
				return false, err
			}
			if ok(err == nil) {
				return true, nil
			}
		}
	}
}

func (c *Cluster) listOf(o client.Object) (client.ObjectList, error) {
	if u, ok := o.(*unstructured.Unstructured); ok {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(u.GroupVersionKind().GroupVersion().WithKind(u.GetKind() + "List"))
		return list, nil
	}
	gvks, _, err := c.Scheme.ObjectKinds(o)
	if err != nil {
		return nil, err
	}
	made, err := c.Scheme.New(gvks[0].GroupVersion().WithKind(gvks[0].Kind + "List"))
	if err != nil {
		return nil, err
	}
	list, ok := made.(client.ObjectList)
	if !ok {
		return nil, fmt.Errorf("%s has no list", gvks[0])
	}
	return list, nil
}

// Condition waits until a condition of the object has the status and, unless it
// is empty, the reason; it returns the condition.
func (c *Cluster) Condition(tb testing.TB, o client.Object, kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	tb.Helper()
	var found metav1.Condition
	c.Wait(tb, o, fmt.Sprintf("condition %s=%s %s", kind, status, reason), func(exists bool) bool {
		is := meta.FindStatusCondition(conditions(o), kind)
		if !exists || is == nil || is.Status != status || (reason != "" && is.Reason != reason) ||
			is.ObservedGeneration != o.GetGeneration() {
			return false
		}
		found = *is
		return true
	})
	return found
}

// Gone waits until the object does not exist.
func (c *Cluster) Gone(tb testing.TB, o client.Object) {
	tb.Helper()
	c.Wait(tb, o, "its end", func(exists bool) bool { return !exists })
}

// Exists waits until the object does.
func (c *Cluster) Exists(tb testing.TB, o client.Object) {
	tb.Helper()
	c.Wait(tb, o, "its existence", func(exists bool) bool { return exists })
}

func conditions(o client.Object) []metav1.Condition {
	switch x := o.(type) {
	case *v1alpha1.PBXTenant:
		return x.Status.Conditions
	case *v1alpha1.PBXClass:
		return x.Status.Conditions
	case *v1alpha1.ExtensionPlan:
		return x.Status.Conditions
	case *v1alpha1.SIPTrunk:
		return x.Status.Conditions
	case *v1alpha1.CallFlow:
		return x.Status.Conditions
	case *v1alpha1.NaverWorksBot:
		return x.Status.Conditions
	default:
		return nil
	}
}

func describe(o client.Object) string {
	var text strings.Builder
	text.WriteString("last seen with:")
	for _, c := range conditions(o) {
		fmt.Fprintf(&text, "\n  %s=%s %s (generation %d of %d): %s", c.Type, c.Status, c.Reason, c.ObservedGeneration, o.GetGeneration(), c.Message)
	}
	return text.String()
}
