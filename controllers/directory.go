package controllers

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// setupDirectories wires the reconciler that takes extensions from NAVER WORKS.
func (o *operator) setupDirectories(manager.Manager) error { return nil }

// withDirectory adds to s.plans the extensions that the directory gave them.
func (o *operator) withDirectory(context.Context, *scene) error { return nil }
