package fields

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// wrong is a wrong value that the schema alone makes.
type wrong struct {
	what  string // of the schema it breaks
	at    string // where the message must point, below the place; "" is the place
	value any
	cure  string // what the message must say
}

// derive lists the wrong values of one place, which holds a right one now.
func derive(n node, right any) []wrong {
	s := n.schema
	out := []wrong{ofType(s)}
	if len(s.Enum) > 0 {
		out = append(out, wrong{"enum", "", "Nonsense", "supported values"})
	}
	if s.Minimum != nil {
		out = append(out, wrong{"minimum", "", int64(*s.Minimum) - 1, "should be greater than or equal to"})
	}
	if s.Maximum != nil {
		out = append(out, wrong{"maximum", "", int64(*s.Maximum) + 1, "should be less than or equal to"})
	}
	if s.MinLength != nil && *s.MinLength > 0 {
		out = append(out, wrong{"minLength", "", "", "should be at least"})
	}
	if s.MaxLength != nil {
		out = append(out, wrong{"maxLength", "", strings.Repeat("1", int(*s.MaxLength)+1), "may not be more than"})
	}
	out = append(out, ofList(s, right)...)
	return append(out, ofMap(s, right)...)
}

func ofType(s *schema) wrong {
	w := wrong{what: "type", cure: "must be of type " + s.Type}
	switch {
	case s.XIntOrString:
		w.value, w.cure = true, "must be of type integer,string"
	case s.Type == "string":
		w.value = int64(7)
	case s.Type == "integer", s.Type == "boolean":
		w.value = "seven"
	default:
		w.value = "one word"
	}
	return w
}

func ofList(s *schema, right any) []wrong {
	list, ok := right.([]any)
	if !ok {
		return nil
	}
	var out []wrong
	if s.MinItems != nil && *s.MinItems > 0 {
		out = append(out, wrong{"minItems", "", []any{}, "should have at least"})
	}
	if s.MaxItems != nil {
		many := make([]any, *s.MaxItems+1)
		for i := range many {
			many[i] = runtime.DeepCopyJSONValue(list[0])
		}
		out = append(out, wrong{"maxItems", "", many, "must have at most"})
	}
	if s.XListType != nil && *s.XListType != "atomic" {
		twice := []any{runtime.DeepCopyJSONValue(list[0]), runtime.DeepCopyJSONValue(list[0])}
		out = append(out, wrong{"list " + *s.XListType, "[1]", twice, "Duplicate value"})
	}
	return out
}

func ofMap(s *schema, right any) []wrong {
	m, ok := right.(map[string]any)
	if !ok {
		return nil
	}
	var out []wrong
	change := func(what, at, cure string, do func(map[string]any)) {
		changed := runtime.DeepCopyJSON(m)
		do(changed)
		out = append(out, wrong{what, at, changed, cure})
	}
	if len(s.Properties) > 0 {
		change("unknown field", ".nonsense", "unknown field", func(m map[string]any) { m["nonsense"] = "x" })
	}
	for _, name := range s.Required {
		if s.Properties[name].Default == nil {
			change("required", "."+name, "Required value", func(m map[string]any) { delete(m, name) })
		}
	}
	if s.MinProperties != nil {
		out = append(out, wrong{"minProperties", "", map[string]any{}, "should have at least"})
	}
	if s.MaxProperties != nil {
		change("maxProperties", "", "must have at most", func(m map[string]any) {
			one := m[sorted(m)[0]]
			for i := range *s.MaxProperties + 1 {
				m["x"+strings.Repeat("x", int(i))] = runtime.DeepCopyJSONValue(one)
			}
		})
	}
	return out
}
