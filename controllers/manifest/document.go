package manifest

import (
	"strconv"
	"strings"

	"github.com/dipcast/dipcast/controllers/compile"
	yamlnode "go.yaml.in/yaml/v3"
)

// document is one YAML document of a file.
type document struct {
	file string
	line int // of its first line
	text []byte
	root *yamlnode.Node
}

// parse keeps the tree with the lines; what it cannot read has none.
func (d *document) parse() {
	var root yamlnode.Node
	if err := yamlnode.Unmarshal(d.text, &root); err == nil && len(root.Content) > 0 {
		d.root = root.Content[0]
	}
}

// at returns file:line of a field's path, of the nearest part of it that is
// there if the field itself is missing.
func (d *document) at(path string) string {
	if d.root == nil {
		return d.lineAt(1)
	}
	return d.lineAt(lineOf(d.root, steps(path)))
}

// lineAt returns file:line of a line of the document, from 1.
func (d *document) lineAt(n int) string { return d.file + ":" + strconv.Itoa(d.line+n-1) }

// scalar returns what is written at a field's path, empty if that is no
// single value.
func (d *document) scalar(path string) string {
	n := d.root
	for _, step := range steps(path) {
		if n != nil {
			_, n = child(n, step)
		}
	}
	if n == nil || n.Kind != yamlnode.ScalarNode {
		return ""
	}
	return n.Value
}

func (d *document) problem(o compile.Object, path, message, reason string) compile.Problem {
	return compile.Problem{
		File: d.at(path), Object: o, Path: path, Message: message, Reason: reason, Severity: compile.Error,
	}
}

// steps cuts "spec.hosts[0].port" into spec, hosts, 0, port.
func steps(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}

func lineOf(n *yamlnode.Node, steps []string) int {
	line := n.Line
	for _, step := range steps {
		key, value := child(n, step)
		if value == nil {
			return line
		}
		n, line = value, key.Line
	}
	return line
}

func child(n *yamlnode.Node, step string) (key, value *yamlnode.Node) {
	switch n.Kind {
	case yamlnode.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i], n.Content[i+1]
			}
		}
	case yamlnode.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i]
		}
	case yamlnode.AliasNode:
		if n.Alias != nil {
			return child(n.Alias, step)
		}
	}
	return nil, nil
}
