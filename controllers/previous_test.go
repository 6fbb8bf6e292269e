package controllers

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/fleet"
	"github.com/dipcast/dipcast/controllers/hostport"
)

// TestPreviousPorts: whatever a pod listens on stays the tenant's, however often
// it was told to move.
func TestPreviousPorts(t *testing.T) {
	block := func(first int) hostport.Ports {
		return hostport.Ports{SIP: first, SIPS: first + 1, WSS: first + 2, HTTP: first + 3, Admin: first + 4, RTPFrom: first + 6, RTPTo: first + 29}
	}
	none, a, b, c := hostport.Ports{}, block(10000), block(10100), block(10200)
	shorter := a
	shorter.RTPTo -= 10
	for name, tc := range map[string]struct {
		pod, held, now, previous hostport.Ports
		noSet                    bool
		want                     hostport.Ports
	}{
		"new":                                 {now: a, noSet: true, want: none},
		"at rest":                             {pod: a, held: a, now: a, want: none},
		"told to move":                        {pod: a, held: a, now: b, want: a},
		"waits to be moved":                   {pod: a, held: b, now: b, previous: a, want: a},
		"moved":                               {pod: b, held: b, now: b, previous: a, want: none},
		"between two pods":                    {held: b, now: b, previous: a, want: a},
		"told to move again":                  {pod: a, held: b, now: c, previous: a, want: a},
		"told to move again between two pods": {held: b, now: c, previous: a, want: b},
		"a pod of the template in between":    {pod: b, held: c, now: c, previous: a, want: b},
		"told to move back":                   {pod: a, held: b, now: a, previous: a, want: none},
		"a smaller block at the same port":    {pod: a, held: a, now: shorter, want: a},
		"all is gone":                         {held: b, now: b, previous: a, noSet: true, want: none},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{tenant: &v1alpha1.PBXTenant{}, ports: tc.now}
			s.tenant.Status.PreviousPorts = fleet.StatusPorts(tc.previous)
			if !tc.noSet {
				s.set = &appsv1.StatefulSet{}
			}
			if !tc.pod.Zero() {
				s.pod = podOn(tc.pod)
			}
			new(operator).keepPrevious(s, tc.held)
			if got := fleet.Ports(s.tenant.Status.PreviousPorts); got != tc.want {
				t.Errorf("previous %+v, want %+v", got, tc.want)
			}
		})
	}
}

// podOn is a pod as the operator makes it for these ports.
func podOn(p hostport.Ports) *corev1.Pod {
	set := desired.Build(desired.Input{
		Tenant: &v1alpha1.PBXTenant{}, Class: &v1alpha1.PBXClass{}, Ports: p,
	}).StatefulSet
	return &corev1.Pod{ObjectMeta: set.Spec.Template.ObjectMeta, Spec: set.Spec.Template.Spec}
}
