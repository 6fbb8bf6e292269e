package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dipcast/dipcast/hack/images/repeat"
)

// packChart makes what `helm package` makes, with the versions and the images'
// prefix written in, but the same bytes each time.
func packChart(dir, version, prefix string, when time.Time) (repeat.Entry, error) {
	var entries []repeat.Entry
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		if text, err = stamp(name, string(text), version, prefix); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		entries = append(entries, repeat.Entry{Name: "dipcast/" + filepath.ToSlash(name), Mode: 0o644, Content: text})
		return nil
	})
	if err != nil {
		return repeat.Entry{}, err
	}
	// Helm reads Chart.yaml first.
	slices.SortStableFunc(entries, func(a, b repeat.Entry) int {
		return cmp.Compare(order(a.Name), order(b.Name))
	})
	content, err := repeat.TarGz(when, entries)
	return repeat.Entry{Name: "chart/dipcast-" + chartVersion(version) + ".tgz", Mode: 0o644, Content: content}, err
}

func order(name string) int {
	if name == "dipcast/Chart.yaml" {
		return 0
	}
	return 1
}

// stamp writes the version and the prefix into the two files that hold them.
func stamp(name, text, version, prefix string) ([]byte, error) {
	lines := map[string]string{}
	switch name {
	case "Chart.yaml":
		lines["version: 0.0.0-dev"] = "version: " + chartVersion(version)
		lines["appVersion: dev"] = fmt.Sprintf("appVersion: %q", version)
	case "values.yaml":
		lines["  prefix: localhost/dipcast"] = "  prefix: " + prefix
	}
	for from, to := range lines {
		if strings.Count(text, "\n"+from+"\n") != 1 {
			return nil, fmt.Errorf("there is not exactly one line %q to write the version or prefix into", from)
		}
		text = strings.Replace(text, "\n"+from+"\n", "\n"+to+"\n", 1)
	}
	return []byte(text), nil
}

// chartVersion is the version as Helm wants it: semantic. What is no such
// version, as a bare commit, becomes an early one.
func chartVersion(version string) string {
	bare := strings.TrimPrefix(version, "v")
	if regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`).MatchString(bare) {
		return bare
	}
	return "0.0.0-g" + regexp.MustCompile(`[^0-9A-Za-z-]+`).ReplaceAllString(version, "-")
}
