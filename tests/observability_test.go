package tests

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const observability = "../deploy/observability"

// expressions is where the dashboards' expressions are written as rules, so that promtool can check them.
var expressions = flag.String("expressions", "", "write the expressions of the dashboards into this file, as rules")

// rule is one of Prometheus's, recording or alerting.
type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

func rulesOf(t testing.TB, file string) []rule {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(observability, "rules", file))
	if err != nil {
		t.Fatal(err)
	}
	var content struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(text, &content); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var all []rule
	for _, g := range content.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rules", file)
	}
	return all
}

// dashboard is what we look at of Grafana's model.
type dashboard struct {
	UID, Title, Description string
	Panels                  []panel
	Links                   []struct{ URL string }
	Templating              struct {
		List []struct {
			Name, Type, Definition string
			Datasource             struct{ UID string }
		}
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ H, W, X, Y int }
	Datasource               struct{ UID string }
	Targets                  []struct {
		Expr       string
		Datasource struct{ UID string }
	}
	FieldConfig struct {
		Defaults struct {
			Unit       string
			Thresholds struct{ Steps []struct{ Color string } }
		}
	}
}

func dashboards(t testing.TB) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(observability, "dashboards", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no dashboards: %v", err)
	}
	all := map[string]dashboard{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = d
	}
	return all
}

// asked are the expressions of dashboards and rules, by where they stand.
func asked(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range []string{"recording.yaml", "alerts.yaml"} {
		for _, r := range rulesOf(t, file) {
			all[file+": "+r.Record+r.Alert] = r.Expr
		}
	}
	for file, d := range dashboards(t) {
		for _, p := range d.Panels {
			for i, target := range p.Targets {
				all[fmt.Sprintf("%s: %s (%d)", file, p.Title, i+1)] = target.Expr
			}
		}
		for _, v := range d.Templating.List {
			if v.Type == "query" {
				all[file+": $"+v.Name] = v.Definition
			}
		}
	}
	return all
}

// Labels that no metric of ours has, since Prometheus gives them to the target.
var targetLabels = []string{"instance", "job", "namespace"}

// askedFor wants dashboards and rules to ask only for what is exported or recorded, with labels and values that are there.
func askedFor(t testing.TB, all map[string]*family) {
	t.Helper()
	recorded := map[string][]string{}
	for _, r := range rulesOf(t, "recording.yaml") {
		q, err := parseQuery(r.Expr)
		if err != nil {
			t.Fatal(err)
		}
		recorded[r.Record] = append(q.by, targetLabels...)
	}
	for where, expr := range asked(t) {
		q, err := parseQuery(expr)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		labels := slices.Clone(targetLabels)
		for _, s := range q.selectors {
			f := familyOf(all, s.metric)
			switch of, is := recorded[s.metric]; {
			case is:
				labels = append(labels, of...)
				f = &family{name: s.metric, labels: map[string]map[string]bool{}}
				for _, l := range of {
					f.labels[l] = nil
				}
			case f != nil:
				labels = slices.AppendSeq(labels, maps.Keys(f.labels))
			case s.metric == "up", s.metric == "", slices.Contains(targetLabels, s.metric), s.metric == "factro_cloud": // Prometheus's own; the names that label_values asks for
				continue
			default:
				t.Errorf("%s asks for %s, which no bridge exports", where, s.metric)
				continue
			}
			for _, m := range s.matchers {
				wantMatcher(t, where, f, m)
			}
		}
		for _, l := range q.by {
			if !slices.Contains(labels, l) {
				t.Errorf("%s groups by %s, which no bridge exports", where, l)
			}
		}
	}
}

// wantMatcher wants a label that the metric has, and values that it may have.
func wantMatcher(t testing.TB, where string, f *family, m matcher) {
	t.Helper()
	if _, has := f.labels[m.label]; !has && !slices.Contains(targetLabels, m.label) {
		t.Errorf("%s asks for the label %s of %s, which has none such", where, m.label, f.name)
		return
	}
	doc, known := docOf(f.name, m.label)
	if !known || strings.HasPrefix(m.value, "$") || m.value == "" {
		return
	}
	for value := range strings.SplitSeq(m.value, "|") {
		if !doc.fits(value) {
			t.Errorf("%s asks for %s=%q of %s, which it never is", where, m.label, value, f.name)
		}
	}
}

// Each panel asks one question and says what it shows; nothing lies on top of something else; the dashboards know nothing of
// one Grafana.
func TestDashboards(t *testing.T) {
	t.Parallel()
	all := dashboards(t)
	uids := map[string]string{}
	for file, d := range all {
		if other := uids[d.UID]; other != "" || d.UID == "" || d.Title == "" || d.Description == "" {
			t.Errorf("%s: the uid %q is empty or that of %q, or it has no title or description", file, d.UID, other)
		}
		uids[d.UID] = file
		if len(d.Templating.List) < 2 || d.Templating.List[0].Name != "datasource" || d.Templating.List[0].Type != "datasource" {
			t.Errorf("%s has no variable datasource", file)
		}
		for _, v := range d.Templating.List[1:] {
			if v.Datasource.UID != "${datasource}" {
				t.Errorf("%s: the variable %s has a data source of its own", file, v.Name)
			}
		}
		taken, ids := map[[2]int]string{}, map[int]bool{}
		for _, p := range d.Panels {
			if ids[p.ID] || p.ID == 0 {
				t.Errorf("%s: %s has the id of another panel", file, p.Title)
			}
			ids[p.ID] = true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
						t.Fatalf("%s: %q lies on %q or outside", file, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type != "row" {
				wantPanel(t, file, p)
			}
		}
		if len(taken) == 0 {
			t.Errorf("%s has no panels", file)
		}
	}
	for file, d := range all {
		for _, l := range d.Links {
			if uid, _ := strings.CutPrefix(l.URL, "/d/"); uids[uid] == "" {
				t.Errorf("%s: the link %s leads nowhere", file, l.URL)
			}
		}
	}
	if *expressions != "" {
		writeExpressions(t)
	}
}

func wantPanel(t *testing.T, file string, p panel) {
	t.Helper()
	if !strings.HasSuffix(p.Title, "?") || p.Description == "" {
		t.Errorf("%s: %q is no question, or is not described", file, p.Title)
	}
	if p.FieldConfig.Defaults.Unit == "" || len(p.FieldConfig.Defaults.Thresholds.Steps) == 0 || len(p.Targets) == 0 {
		t.Errorf("%s: %q has no unit, thresholds or expression", file, p.Title)
	}
	if p.Datasource.UID != "${datasource}" {
		t.Errorf("%s: %q has a data source of its own", file, p.Title)
	}
	for _, target := range p.Targets {
		if target.Datasource.UID != "${datasource}" || target.Expr == "" {
			t.Errorf("%s: %q has an expression without words, or with a data source of its own", file, p.Title)
		}
	}
}

// writeExpressions writes what the dashboards ask as rules, with Grafana's variables filled in.
func writeExpressions(t *testing.T) {
	t.Helper()
	type recording struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var rules []recording
	fill := strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$cloud", ".*", "$instance", ".*")
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				rules = append(rules, recording{fmt.Sprintf("dashboard:panel%d", len(rules)), fill.Replace(target.Expr)})
			}
		}
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboards", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*expressions, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d expressions", len(rules))
}

// Each alert says how bad it is, what is the matter and what to do, and each playbook belongs to an alert.
func TestAlertsHavePlaybooks(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../docs/playbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, page := range pages {
		left[strings.TrimSuffix(filepath.Base(page), ".md")] = true
	}
	delete(left, "README")
	tests, err := os.ReadFile(filepath.Join(observability, "rules", "tests", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile("../docs/playbooks/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rulesOf(t, "alerts.yaml") {
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		want := "https://github.com/factro-bridge/factro-bridge/blob/main/docs/playbooks/" + r.Alert + ".md"
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Annotations["runbook_url"] != want {
			t.Errorf("%s has the annotations %v", r.Alert, r.Annotations)
		}
		// Both: that it fires, and that it does not.
		if n := strings.Count(string(tests), "{alertname: "+r.Alert+", eval_time: "); n == 0 || strings.Count(string(tests), "- alertname: "+r.Alert+"\n") != n {
			t.Errorf("%s has no test that it fires and one that it does not", r.Alert)
		}
		if !left[r.Alert] {
			t.Errorf("%s has no playbook", r.Alert)
			continue
		}
		delete(left, r.Alert)
		wantPlaybook(t, r)
		if !strings.Contains(string(index), "("+r.Alert+".md) | "+r.Labels["severity"]+" |") {
			t.Errorf("the index of the playbooks lacks %s, or has another severity", r.Alert)
		}
	}
	if len(left) > 0 {
		t.Errorf("playbooks without an alert: %v", slices.Sorted(maps.Keys(left)))
	}
}

func wantPlaybook(t *testing.T, r rule) {
	t.Helper()
	text, err := os.ReadFile("../docs/playbooks/" + r.Alert + ".md")
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, part := range []string{"# " + r.Alert + "\n", "\n## What users notice\n", "\n## First look\n", "\n## Mend\n", "\n## Over\n"} {
		i := strings.Index(string(text)[at:], part)
		if i < 0 {
			t.Errorf("the playbook of %s lacks %q, or has it in another place", r.Alert, strings.TrimSpace(part))
			return
		}
		at += i
	}
}
