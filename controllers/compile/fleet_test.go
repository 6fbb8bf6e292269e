package compile_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
)

// refused are the names of those objects that have to give way.
func refused(f compile.Fleet, kind string) []string {
	var out []string
	for _, p := range compile.CheckFleet(f) {
		if p.Object.Kind == kind && p.Reason == v1alpha1.ReasonDuplicate {
			out = append(out, p.Object.Name)
		}
	}
	return out
}

func born(name string, year int) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "ns-" + name, Name: name, CreationTimestamp: metav1.NewTime(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))}
}

func TestWhoseDomain(t *testing.T) {
	tenant := func(name string, year int, wants, has string) v1alpha1.PBXTenant {
		return v1alpha1.PBXTenant{
			ObjectMeta: born(name, year), Spec: v1alpha1.PBXTenantSpec{Domain: wants}, Status: v1alpha1.PBXTenantStatus{Domain: has},
		}
	}
	for name, tc := range map[string]struct {
		tenants []v1alpha1.PBXTenant
		want    []string
	}{
		"each its own":                       {[]v1alpha1.PBXTenant{tenant("a", 2030, "a.example", ""), tenant("b", 2031, "b.example", "")}, nil},
		"two new ones, the older has it":     {[]v1alpha1.PBXTenant{tenant("b", 2031, "a.example", ""), tenant("a", 2030, "a.example", "")}, []string{"b"}},
		"the younger has it in force":        {[]v1alpha1.PBXTenant{tenant("a", 2030, "b.example", "a.example"), tenant("b", 2031, "b.example", "b.example")}, []string{"a"}},
		"the host of the other's phones":     {[]v1alpha1.PBXTenant{tenant("a", 2030, "sip.b.example", "a.example"), tenant("b", 2031, "b.example", "b.example")}, []string{"a"}},
		"a domain above the other's":         {[]v1alpha1.PBXTenant{tenant("a", 2030, "b.example", "a.example"), tenant("b", 2031, "sip.b.example", "sip.b.example")}, []string{"a"}},
		"in force while another is wanted":   {[]v1alpha1.PBXTenant{tenant("a", 2030, "c.example", "a.example"), tenant("b", 2031, "a.example", ""), tenant("c", 2032, "c.example", "c.example")}, []string{"a", "b"}},
		"given back":                         {[]v1alpha1.PBXTenant{tenant("a", 2030, "c.example", "c.example"), tenant("b", 2031, "a.example", "")}, nil},
		"by error of an older operator both": {[]v1alpha1.PBXTenant{tenant("a", 2030, "a.example", "a.example"), tenant("b", 2031, "a.example", "a.example")}, []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refused(compile.Fleet{Tenants: tc.tenants}, v1alpha1.KindPBXTenant); !slices.Equal(got, tc.want) {
				t.Errorf("refused %v, want %v", got, tc.want)
			}
		})
	}
}

func TestWhoseBot(t *testing.T) {
	bot := func(name string, year int, id int64, proven metav1.ConditionStatus) v1alpha1.NaverWorksBot {
		b := v1alpha1.NaverWorksBot{ObjectMeta: born(name, year), Spec: v1alpha1.NaverWorksBotSpec{TenantRef: v1alpha1.LocalRef{Name: name}, BotID: id}}
		b.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionCredentialsValid, Status: proven}}
		return b
	}
	for name, tc := range map[string]struct {
		bots []v1alpha1.NaverWorksBot
		want []string
	}{
		"each its own":                  {[]v1alpha1.NaverWorksBot{bot("a", 2030, 1, "True"), bot("b", 2031, 2, "True")}, nil},
		"nobody can prove it":           {[]v1alpha1.NaverWorksBot{bot("a", 2030, 1, "False"), bot("b", 2031, 1, "Unknown")}, []string{"b"}},
		"both can":                      {[]v1alpha1.NaverWorksBot{bot("b", 2031, 1, "True"), bot("a", 2030, 1, "True")}, []string{"b"}},
		"the older knows only its name": {[]v1alpha1.NaverWorksBot{bot("a", 2030, 1, "False"), bot("b", 2031, 1, "True")}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refused(compile.Fleet{Bots: tc.bots}, v1alpha1.KindNaverWorksBot); !slices.Equal(got, tc.want) {
				t.Errorf("refused %v, want %v", got, tc.want)
			}
		})
	}
}
