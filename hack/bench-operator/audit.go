package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// printAudit tells which calls the operator made, by verb and resource, from
// the API server's own log.
func printAudit(w io.Writer, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	counts := map[string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			Verb      string `json:"verb"`
			UserAgent string `json:"userAgent"`
			Object    struct {
				Resource    string `json:"resource"`
				Subresource string `json:"subresource"`
			} `json:"objectRef"`
			Response struct {
				Code int `json:"code"`
			} `json:"responseStatus"`
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if strings.HasPrefix(e.UserAgent, "dipcast-operator") {
			counts[fmt.Sprintf("%s %s %d", e.Verb, strings.TrimSuffix(e.Object.Resource+"/"+e.Object.Subresource, "/"), e.Response.Code)]++
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	for _, call := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Compare(counts[b], counts[a]) }) {
		fmt.Fprintf(w, "%8d %s\n", counts[call], call)
	}
	return nil
}
