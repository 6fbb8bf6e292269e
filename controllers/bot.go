package controllers

import "sigs.k8s.io/controller-runtime/pkg/manager"

// setupBots wires the reconciler of NaverWorksBot.
func (o *operator) setupBots(manager.Manager) error { return nil }
