package v1alpha1_test

import (
	"testing"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestSchemeKnowsEveryKind(t *testing.T) {
	s := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{
		v1alpha1.KindPBXClass, v1alpha1.KindPBXTenant, v1alpha1.KindExtensionPlan,
		v1alpha1.KindSIPTrunk, v1alpha1.KindCallFlow, v1alpha1.KindNaverWorksBot,
	} {
		for _, k := range []string{kind, kind + "List"} {
			if _, err := s.New(v1alpha1.GroupVersion().WithKind(k)); err != nil {
				t.Errorf("%s: %v", k, err)
			}
		}
	}
}
