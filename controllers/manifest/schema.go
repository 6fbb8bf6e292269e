package manifest

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/config/crd"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apiservercel "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// kindSchema judges objects of one kind.
type kindSchema struct {
	namespaced bool
	structural *structuralschema.Structural
	openAPI    validation.SchemaValidator
	rules      *cel.Validator
}

// readSchemas builds the judge of every kind from the embedded CRDs.
func readSchemas() (map[string]*kindSchema, error) {
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("embedded CRDs: %w", err)
	}
	out := map[string]*kindSchema{}
	for _, name := range names {
		raw, err := crd.Files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("embedded CRD %s: %w", name, err)
		}
		var def apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(raw, &def); err != nil {
			return nil, fmt.Errorf("embedded CRD %s: %w", name, err)
		}
		s, err := newKindSchema(&def)
		if err != nil {
			return nil, fmt.Errorf("embedded CRD %s: %w", name, err)
		}
		out[def.Spec.Names.Kind] = s
	}
	return out, nil
}

func newKindSchema(def *apiextensionsv1.CustomResourceDefinition) (*kindSchema, error) {
	for _, v := range def.Spec.Versions {
		if v.Name != v1alpha1.Version || v.Schema == nil {
			continue
		}
		var props apiextensions.JSONSchemaProps
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &props, nil); err != nil {
			return nil, err
		}
		structural, err := structuralschema.NewStructural(&props)
		if err != nil {
			return nil, err
		}
		openAPI, _, err := validation.NewSchemaValidator(&props)
		if err != nil {
			return nil, err
		}
		return &kindSchema{
			namespaced: def.Spec.Scope == apiextensionsv1.NamespaceScoped,
			structural: structural, openAPI: openAPI,
			rules: cel.NewValidator(structural, true, apiservercel.PerCallLimit),
		}, nil
	}
	return nil, fmt.Errorf("has no schema of version %s", v1alpha1.Version)
}

// judge prunes and defaults the object in place and returns what an API
// server would refuse.
func (s *kindSchema) judge(ctx context.Context, obj map[string]any) field.ErrorList {
	var errs field.ErrorList
	track := structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	for _, path := range pruning.PruneWithOptions(obj, s.structural, true, track) {
		errs = append(errs, unknown(path, s.structural))
	}
	coerce := objectmeta.CoerceOptions{ReturnUnknownFieldPaths: true}
	err, more := objectmeta.CoerceWithOptions(nil, obj, s.structural, true, coerce)
	if err != nil {
		return append(errs, err)
	}
	for _, path := range more {
		errs = append(errs, unknown(path, s.structural))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(obj, s.structural)
	defaulting.Default(obj, s.structural)
	delete(obj, "status")

	meta, found, wrong := objectmeta.GetObjectMeta(obj, false)
	if wrong != nil {
		return append(errs, field.Invalid(field.NewPath("metadata"), "", wrong.Error()))
	}
	if !found || meta == nil {
		return append(errs, field.Required(field.NewPath("metadata"), ""))
	}
	errs = append(errs, apivalidation.ValidateObjectMeta(meta, s.namespaced, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))...)
	errs = append(errs, validation.ValidateCustomResource(nil, obj, s.openAPI)...)
	errs = append(errs, objectmeta.Validate(ctx, nil, obj, s.structural, true)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.structural, obj)...)
	if s.rules != nil && !blocking(errs) {
		more, _ := s.rules.Validate(ctx, nil, s.structural, obj, nil, apiservercel.RuntimeCELCostBudget)
		errs = append(errs, more...)
	}
	return errs
}

// blocking reports whether CEL must not run since its cost or its types are
// not what the rules were compiled for; the API server does the same.
func blocking(errs field.ErrorList) bool {
	for _, e := range errs {
		switch e.Type {
		case field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}
