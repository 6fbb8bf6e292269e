package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// explain turns the API server's words into a sentence with the cure; written
// is the field's text in the manifest if it is no list or map.
func explain(e *field.Error, written string) (value, message string) {
	value = shown(e.BadValue)
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
		return wrongType(e, written)
	}
	detail := strings.TrimPrefix(e.Detail, e.Field+" in body ")
	if rest, ok := strings.CutPrefix(detail, "should"); ok {
		detail = "must" + rest
	}
	if strings.Contains(e.Field, "Unsupported value") || detail == "" {
		detail = "is not valid"
	}
	return value, plainName(detail)
}

// shown is a value as one word; the API server gives the type in place of
// lists and maps, and the key of a list's entry as a map.
func shown(bad any) string {
	switch v := bad.(type) {
	case string:
		if v != "object" && v != "array" {
			return v
		}
	case bool, int, int64, float64, int32:
		return fmt.Sprint(v)
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, shown(v[k]))
		}
		return strings.Join(parts, " ")
	}
	return ""
}

// plainName replaces Kubernetes' regular expression for names.
func plainName(detail string) string {
	if strings.HasPrefix(detail, "a lowercase RFC 1123") {
		return "must be lower-case letters, digits, - or ., with a letter or digit first and last, e.g. seoul-office"
	}
	return detail
}

// wrongType tells the commonest slip by name: YAML reads Off as false and 101
// as a number.
func wrongType(e *field.Error, written string) (value, message string) {
	_, want, _ := strings.Cut(e.Detail, "must be of type ")
	want, _, _ = strings.Cut(want, ":")
	switch want {
	case "string":
		if written == "" {
			return "", "must be text"
		}
		return written, "must be text: write it in quotes, " + strconv.Quote(written) + ", since YAML reads it as another type"
	case "integer":
		return written, "must be a whole number, without quotes"
	case "boolean":
		return written, "must be true or false, without quotes"
	case "array":
		return written, "must be a list: write it in [ ] or one entry a line, each after a dash"
	case "object":
		return written, "must hold fields of its own: write them in { } or indented, one a line"
	case "":
		return written, e.Detail
	}
	return written, "must be of type " + want
}

// unknown is the problem of a field that the schema does not know, with the
// nearest name that it knows there.
func unknown(path string, root *structuralschema.Structural) *field.Error {
	cure := "remove it or correct its spelling"
	all := steps(path)
	if s := below(root, all[:max(len(all)-1, 0)]); s != nil && len(all) > 0 {
		if name := nearest(all[len(all)-1], slices.Sorted(maps.Keys(s.Properties))); name != "" {
			cure = "remove it or write " + name
		}
	}
	return field.Forbidden(field.NewPath(path), "unknown field: "+cure)
}

func below(s *structuralschema.Structural, steps []string) *structuralschema.Structural {
	for _, step := range steps {
		next, ok := s.Properties[step]
		switch {
		case ok:
			s = &next
		case s.Items != nil:
			s = s.Items
		case s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil:
			s = s.AdditionalProperties.Structural
		default:
			return nil
		}
	}
	return s
}

// nearest returns the name that differs least from word, by no more than a
// third of its letters; empty if there is none.
func nearest(word string, names []string) string {
	best, bound := "", len(word)/3
	for _, name := range names {
		if d := distance(strings.ToLower(word), strings.ToLower(name)); d <= bound {
			best, bound = name, d-1
		}
	}
	return best
}

// distance is Levenshtein's, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// yamlError cuts the YAML reader's error into the line of the document, 1 if
// it names none, and what is wrong, on one line.
func yamlError(err error) (line int, message string) {
	text := strings.Join(strings.Fields(err.Error()), " ")
	text = strings.TrimPrefix(text, "error converting YAML to JSON: ")
	text = strings.TrimPrefix(text, "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors: ")
	line = 1
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		number, what, found := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); found && err == nil {
			line, text = n, what
		}
	}
	cure := "check the indentation and the quotes here and in the lines before"
	switch {
	case strings.Contains(text, "already set in map"):
		cure = "remove one of the two"
	case strings.Contains(text, "tab character"):
		cure = "indent with spaces"
	case strings.Contains(text, "cannot start any token"):
		cure = "indent with spaces, not tabs, and write texts that begin with @, % or ` in quotes"
	case strings.Contains(text, "control characters"):
		cure = "name a text file"
	}
	return line, "is no YAML: " + text + ": " + cure
}
