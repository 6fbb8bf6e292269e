package manifest

import (
	"io/fs"
	"math"
	"testing"

	"github.com/dipcast/dipcast/config/crd"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apiservercel "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

// The limits of an API server on the estimated cost of CEL rules.
const (
	ruleBudget = 10_000_000
	crdBudget  = 100_000_000
)

// TestCRDsAreAcceptedByAnAPIServer checks what an API server checks when a CRD
// is created and what would make it refuse ours: the structural schema, its
// defaults, and that every CEL rule compiles within the cost limits. (The API
// server's own function for it needs modules that nothing else here needs.)
func TestCRDsAreAcceptedByAnAPIServer(t *testing.T) {
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil || len(names) != 6 {
		t.Fatalf("embedded CRDs: %v, %v; want six", names, err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			raw, err := crd.Files.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var def apiextensionsv1.CustomResourceDefinition
			if err := yaml.UnmarshalStrict(raw, &def); err != nil {
				t.Fatal(err)
			}
			var props apiextensions.JSONSchemaProps
			if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(def.Spec.Versions[0].Schema.OpenAPIV3Schema, &props, nil); err != nil {
				t.Fatal(err)
			}
			s, err := structuralschema.NewStructural(&props)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range structuralschema.ValidateStructural(nil, s) {
				t.Error(e)
			}
			errs, err := defaulting.ValidateDefaults(t.Context(), field.NewPath("schema"), s, true, true)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range errs {
				t.Error(e)
			}
			total, rules := costs(t, name, s, 1, true)
			if rules == 0 || total > crdBudget {
				t.Errorf("%d rules cost %d, the budget of a CRD is %d", rules, total, uint64(crdBudget))
			}
		})
	}
}

// costs compiles the rules at and under a schema that occurs at most times
// times in one object.
func costs(t *testing.T, path string, s *structuralschema.Structural, times uint64, root bool) (total uint64, rules int) {
	t.Helper()
	if len(s.XValidations) > 0 {
		results, err := cel.Compile(s, model.SchemaDeclType(s, root), apiservercel.PerCallLimit,
			environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()), cel.NewExpressionsEnvLoader())
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for i, r := range results {
			rule := s.XValidations[i].Rule
			switch {
			case r.Error != nil:
				t.Errorf("%s: %s: %v", path, rule, r.Error)
			case s.XValidations[i].Message == "":
				t.Errorf("%s: %s: has no message for people", path, rule)
			}
			cost := product(r.MaxCost, times)
			if cost > ruleBudget {
				t.Errorf("%s: %s: costs %d, the budget of a rule is %d", path, rule, cost, uint64(ruleBudget))
			}
			total += cost
			rules++
		}
	}
	add := func(path string, s *structuralschema.Structural, times uint64) {
		c, n := costs(t, path, s, times, false)
		total += c
		rules += n
	}
	for name, p := range s.Properties {
		add(path+"."+name, &p, times)
	}
	if s.Items != nil {
		add(path+"[]", s.Items, product(times, bound(s.ValueValidation, true)))
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		add(path+"{}", s.AdditionalProperties.Structural, product(times, bound(s.ValueValidation, false)))
	}
	return total, rules
}

func bound(v *structuralschema.ValueValidation, items bool) uint64 {
	switch {
	case v != nil && items && v.MaxItems != nil:
		return uint64(*v.MaxItems)
	case v != nil && !items && v.MaxProperties != nil:
		return uint64(*v.MaxProperties)
	}
	return math.MaxUint32
}

func product(a, b uint64) uint64 {
	if b != 0 && a > math.MaxUint64/b {
		return math.MaxUint64
	}
	return a * b
}
