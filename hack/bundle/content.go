package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/dipcast/dipcast/hack/images/oci"
	"github.com/dipcast/dipcast/hack/images/repeat"
)

//go:embed INSTALL.md
var installText string

// collect gathers everything that goes into the archive but the checksums.
func (o options) collect(ctx context.Context, from repeat.Origin, chart repeat.Entry) ([]repeat.Entry, error) {
	entries := []repeat.Entry{chart}
	kinds, err := folder(filepath.Join(o.source, "config/crd"), "*.yaml", "crds")
	if err != nil {
		return nil, err
	}
	classes, err := folder(filepath.Join(o.source, "config/samples"), "classes.yaml", "samples")
	if err != nil {
		return nil, err
	}
	// The demo's own classes are for one machine: they stay behind.
	company, err := folder(filepath.Join(o.source, "config/samples/demo"), "[^c]*.yaml", "samples/acme")
	if err != nil {
		return nil, err
	}
	entries = slices.Concat(entries, kinds, classes, company)
	for _, arch := range o.architectures {
		for _, program := range []string{"operator", "pbx"} {
			image, bill, err := o.image(program, arch, from)
			if err != nil {
				return nil, err
			}
			entries = append(entries, image, bill)
		}
		tool, err := o.commandLine(ctx, arch, from)
		if err != nil {
			return nil, err
		}
		entries = append(entries, tool...)
	}
	license, err := os.ReadFile(filepath.Join(o.source, "LICENSE"))
	if err != nil {
		return nil, err
	}
	text, err := o.instructions()
	if err != nil {
		return nil, err
	}
	return append(entries,
		repeat.Entry{Name: "LICENSE", Mode: 0o644, Content: license},
		repeat.Entry{Name: "INSTALL.md", Mode: 0o644, Content: text}), nil
}

// folder takes the files of a folder that match.
func folder(dir, pattern, into string) (entries []repeat.Entry, err error) {
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no %s there: is -source the folder of the source?", dir, pattern)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		entries = append(entries, repeat.Entry{Name: path.Join(into, filepath.Base(f)), Mode: 0o644, Content: text})
	}
	return entries, nil
}

// image takes one archive and writes the bill of what is in it.
func (o options) image(program, arch string, from repeat.Origin) (image, bill repeat.Entry, err error) {
	file := filepath.Join(o.images, oci.ArchiveName(program, o.version, arch))
	content, err := os.ReadFile(file)
	if err != nil {
		return image, bill, fmt.Errorf("%w: run make images first, with the same version", err)
	}
	tag, img, err := oci.ReadArchive(file)
	if err != nil {
		return image, bill, err
	}
	digest, err := img.Digest()
	if err != nil {
		return image, bill, fmt.Errorf("%s: %w", file, err)
	}
	binary, err := oci.Program(img)
	if err != nil {
		return image, bill, fmt.Errorf("%s: %w", file, err)
	}
	text, err := billOf(subject{
		name: tag.String(), version: o.version, arch: arch, digest: digest.Hex, container: true, created: from.Created,
	}, binary)
	if err != nil {
		return image, bill, fmt.Errorf("%s: %w", file, err)
	}
	return repeat.Entry{Name: "images/" + filepath.Base(file), Mode: 0o644, Content: content},
		repeat.Entry{Name: fmt.Sprintf("sbom/%s-%s.cdx.json", program, arch), Mode: 0o644, Content: text}, nil
}

// commandLine builds dipcast; kubectl finds it by its second name.
func (o options) commandLine(ctx context.Context, arch string, from repeat.Origin) ([]repeat.Entry, error) {
	work, err := os.MkdirTemp("", "dipcast-bundle-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }() // a folder of its own: what is left is the system's to clean
	file := filepath.Join(work, "dipcast")
	if err := repeat.Compile(ctx, o.source, "dipcast", arch, o.version, file); err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	bill, err := billOf(subject{
		name: "dipcast", version: o.version, arch: arch, digest: fmt.Sprintf("%x", sha256.Sum256(binary)), created: from.Created,
	}, binary)
	if err != nil {
		return nil, err
	}
	return []repeat.Entry{
		{Name: "bin/linux-" + arch + "/dipcast", Mode: 0o755, Content: binary},
		{Name: "bin/linux-" + arch + "/kubectl-dipcast", Mode: 0o777, Link: "dipcast"},
		{Name: "sbom/dipcast-" + arch + ".cdx.json", Mode: 0o644, Content: bill},
	}, nil
}

// instructions are INSTALL.md with the names that things have in this archive.
func (o options) instructions() ([]byte, error) {
	t, err := template.New("INSTALL.md").Option("missingkey=error").Parse(installText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]string{
		"Version": o.version, "Chart": "dipcast-" + chartVersion(o.version) + ".tgz", "Prefix": o.prefix, "Arch": o.architectures[0],
	})
	return b.Bytes(), err
}

// layout puts all under one folder, sorted, with the folders and the
// checksums, which sha256sum -c reads.
func layout(top string, entries []repeat.Entry) []repeat.Entry {
	var sums strings.Builder
	slices.SortFunc(entries, func(a, b repeat.Entry) int { return cmp.Compare(a.Name, b.Name) })
	for _, e := range entries {
		if e.Link == "" {
			fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(e.Content), e.Name)
		}
	}
	entries = append(entries, repeat.Entry{Name: "SHA256SUMS", Mode: 0o644, Content: []byte(sums.String())})
	list := []repeat.Entry{{Name: top + "/", Mode: 0o755}}
	seen := map[string]bool{".": true}
	for _, e := range entries {
		list = append(list, parents(top, path.Dir(e.Name), seen)...)
		e.Name = top + "/" + e.Name
		list = append(list, e)
	}
	return list
}

// parents are the folders of dir that were not there before.
func parents(top, dir string, seen map[string]bool) []repeat.Entry {
	if seen[dir] {
		return nil
	}
	seen[dir] = true
	return append(parents(top, path.Dir(dir), seen), repeat.Entry{Name: top + "/" + dir + "/", Mode: 0o755})
}
