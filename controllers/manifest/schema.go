package manifest

import (
	"context"
	"fmt"
	"io/fs"
	"strings"

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
		errs = append(errs, field.Forbidden(field.NewPath(path), "unknown field: remove it or correct its spelling"))
	}
	coerce := objectmeta.CoerceOptions{ReturnUnknownFieldPaths: true}
	err, unknown := objectmeta.CoerceWithOptions(nil, obj, s.structural, true, coerce)
	if err != nil {
		return append(errs, err)
	}
	for _, path := range unknown {
		errs = append(errs, field.Forbidden(field.NewPath(path), "unknown field: remove it or correct its spelling"))
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

// explain turns the API server's words into a sentence with the cure.
func explain(e *field.Error) (value, message string) {
	switch v := e.BadValue.(type) {
	case string:
		if v != "object" && v != "array" { // CEL gives the type in place of the value
			value = v
		}
	case bool, int, int64, float64, int32:
		value = fmt.Sprint(v)
	}
	switch e.Type {
	case field.ErrorTypeRequired:
		return "", "is required: add it"
	case field.ErrorTypeForbidden:
		return "", e.Detail
	case field.ErrorTypeDuplicate:
		return value, "stands there twice: remove one of the two"
	case field.ErrorTypeNotSupported:
		return value, strings.Replace(e.Detail, "supported values:", "must be one of", 1)
	case field.ErrorTypeTooLong, field.ErrorTypeTooMany:
		return value, e.Detail + ": shorten it"
	case field.ErrorTypeTypeInvalid:
		return wrongType(e, value)
	}
	detail := strings.TrimPrefix(e.Detail, e.Field+" in body ")
	if rest, ok := strings.CutPrefix(detail, "should"); ok {
		detail = "must" + rest
	}
	if strings.Contains(e.Field, "Unsupported value") || detail == "" {
		detail = "is not valid"
	}
	return value, detail
}

// wrongType tells the commonest slip by name: YAML reads Off as false and 101
// as a number.
func wrongType(e *field.Error, value string) (shown, message string) {
	if strings.Contains(e.Detail, "must be of type string") {
		return "", "must be text: write it in quotes, since YAML reads " + value + " (and Off, On, Yes, No) as another type"
	}
	_, want, _ := strings.Cut(e.Detail, "must be of type ")
	want, _, _ = strings.Cut(want, ":")
	if want == "" {
		return "", e.Detail
	}
	return "", "must be of type " + want
}
