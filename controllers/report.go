package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// set puts a condition into a list, which stays sorted by type; the time of
// its last change moves only with its status.
func (o *operator) set(list *[]metav1.Condition, generation int64, c metav1.Condition) {
	c.ObservedGeneration = generation
	c.LastTransitionTime = metav1.NewTime(o.Now().Truncate(time.Second))
	meta.SetStatusCondition(list, c)
	slices.SortStableFunc(*list, func(a, b metav1.Condition) int { return strings.Compare(a.Type, b.Type) })
}

// report writes the status of after where it differs from before's, and only
// then. It fails with a conflict if the object has changed in between: several
// reconcilers may write conditions of one object, each its own types, and none
// may undo another's.
func (o *operator) report(ctx context.Context, before, after client.Object) error {
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := o.client.Status().Patch(ctx, after, patch); err != nil {
		return fmt.Errorf("status of %s/%s: %w", after.GetNamespace(), after.GetName(), err)
	}
	return nil
}
