package charttest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	_ "sigs.k8s.io/controller-runtime/pkg/controller" // registers its metrics
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// known are the names of all metrics: ours as the code declares them, and
// those that controller-runtime registers.
func known(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{"process_resident_memory_bytes": true, "process_cpu_seconds_total": true}
	for pattern, declared := range map[string]*regexp.Regexp{
		"pbx/metrics/*.go":          regexp.MustCompile(`\b(?:gauge|counter|counterOne|histogram|histograms)\("([a-z_]+)"`),
		"pbx/server/*.go":           regexp.MustCompile(`(?:\.(?:Gauge|Counter)\(|\t)"([a-z_]+)"[,:]`),
		"controllers/receiver/*.go": regexp.MustCompile(`Name: "dipcast_([a-z_]+)"`),
		"controllers/fleet/*.go":    regexp.MustCompile(`NewDesc\("dipcast_([a-z_]+)"`),
	} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
				names["dipcast_"+m[1]] = true
				found++
			}
		}
		if found == 0 {
			t.Fatalf("%s declare no metrics any more: this test looks at the wrong place", pattern)
		}
	}
	collector, ok := metrics.Registry.(prometheus.Collector)
	if !ok {
		t.Fatal("the registry of controller-runtime does not tell what is in it")
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		collector.Describe(descriptions)
	}()
	for d := range descriptions {
		name, _, _ := strings.Cut(strings.TrimPrefix(d.String(), `Desc{fqName: "`), `"`)
		names[name] = true
	}
	return names
}

// checkQuery looks for metrics that nobody writes, brackets that do not close
// and labels in the legend that the query does not keep.
func checkQuery(t *testing.T, where, query, legend string, names map[string]bool) {
	t.Helper()
	bare := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(query, `""`)
	used := regexp.MustCompile(`\b(?:dipcast|controller_runtime|workqueue|rest_client|process)_[a-z_]+`).FindAllString(bare, -1)
	if len(used) == 0 {
		t.Errorf("%s: %s asks for no metric", where, query)
	}
	for _, name := range used {
		base := strings.TrimSuffix(name, "_bucket")
		if !names[name] && !names[base] {
			t.Errorf("%s: there is no metric %s", where, name)
		}
	}
	for _, pair := range []string{"()", "{}", "[]"} {
		if strings.Count(bare, pair[:1]) != strings.Count(bare, pair[1:]) {
			t.Errorf("%s: %s does not close every %s", where, query, pair[:1])
		}
	}
	for _, m := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(legend, -1) {
		if m[1] != "pod" && !regexp.MustCompile(`by \([^)]*\b`+m[1]+`\b`).MatchString(query) {
			t.Errorf("%s: the legend shows %s, which %s does not keep", where, m[1], query)
		}
	}
}

type dashboard struct {
	UID        string
	Title      string
	Tags       []string
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []struct {
		ID          int
		Type, Title string
		Description string
		GridPos     struct{ X, Y, W, H int }
		Targets     []struct{ Expr, LegendFormat string }
	}
}

func TestDashboards(t *testing.T) {
	names := known(t)
	text := render(t, "--set", "metrics.dashboards.enabled=true", "--set", "metrics.dashboards.namespace=monitoring",
		"--set", "metrics.dashboards.annotations.grafana_folder=Voice")
	uids := make(map[string]bool)
	for _, m := range find[corev1.ConfigMap](t, text, "ConfigMap") {
		if m.Labels["grafana_dashboard"] != "1" || m.Namespace != "monitoring" || m.Annotations["grafana_folder"] != "Voice" {
			t.Errorf("ConfigMap %s/%s: labels %v, annotations %v", m.Namespace, m.Name, m.Labels, m.Annotations)
		}
		for file, text := range m.Data {
			var d dashboard
			if err := json.Unmarshal([]byte(text), &d); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if d.UID == "" || uids[d.UID] || d.Title == "" || len(d.Panels) < 10 {
				t.Errorf("%s: UID %q, title %q, %d panels", file, d.UID, d.Title, len(d.Panels))
			}
			uids[d.UID] = true
			checkDashboard(t, file, d, names)
		}
	}
	if len(uids) != 2 {
		t.Errorf("%d dashboards, want two", len(uids))
	}
}

func checkDashboard(t *testing.T, file string, d dashboard, names map[string]bool) {
	t.Helper()
	variables := map[string]bool{"__rate_interval": true}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
		if v.Type == "query" {
			checkQuery(t, file+": variable "+v.Name, v.Definition, "", names)
		}
	}
	cells := make(map[[2]int]string)
	ids := make(map[int]bool)
	for _, p := range d.Panels {
		where := file + ": " + p.Title
		if ids[p.ID] || p.Title == "" || p.Type != "row" && (p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("%s: panel %d of type %s has no own number, title, description or query", where, p.ID, p.Type)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies on %q or outside", where, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			checkQuery(t, where, target.Expr, target.LegendFormat, names)
			for _, m := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !variables[m[1]] {
					t.Errorf("%s: there is no variable $%s", where, m[1])
				}
			}
		}
	}
}

func TestAlerts(t *testing.T) {
	names := known(t)
	count := 0
	for _, u := range parse(t, renderSet(t, "monitored")) {
		if u.GetKind() != "PrometheusRule" {
			continue
		}
		text, err := json.Marshal(u.Object["spec"])
		if err != nil {
			t.Fatal(err)
		}
		var spec struct {
			Groups []struct {
				Rules []struct {
					Alert, Expr, For    string
					Labels, Annotations map[string]string
				}
			}
		}
		if err := json.Unmarshal(text, &spec); err != nil {
			t.Fatal(err)
		}
		for _, g := range spec.Groups {
			for _, r := range g.Rules {
				count++
				checkQuery(t, r.Alert, r.Expr, "", names)
				if r.For == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
					t.Errorf("%s lacks a duration, a severity or its texts: %+v", r.Alert, r)
				}
			}
		}
	}
	if count != 6 {
		t.Errorf("%d alerts, want six", count)
	}
}
