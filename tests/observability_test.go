package tests

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const observability = "../deploy/observability"

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

var (
	promqlBlock = regexp.MustCompile("(?s)\n```promql\n(.*?)```")
	metricName  = regexp.MustCompile("`((?:[a-z_]+:)?factro_bridge_[a-z0-9_]+(?::[a-z0-9_]+)?)(?:\\{[^`]*\\})?`")
)

// documented returns the expressions and the names of metrics in documents for operators.
func documented(t testing.TB, all map[string]string) {
	t.Helper()
	for _, pattern := range []string{"../docs/*.md", "../docs/playbooks/*.md"} {
		pages, err := filepath.Glob(pattern)
		if err != nil || len(pages) == 0 {
			t.Fatalf("there are no documents %s: %v", pattern, err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, block := range promqlBlock.FindAllSubmatch(text, -1) {
				for line := range strings.Lines(string(block[1])) {
					all[page+": "+line] = line
				}
			}
			for _, name := range metricName.FindAllSubmatch(text, -1) {
				all[page+": "+string(name[1])] = string(name[1])
			}
		}
	}
}

// asked are the expressions of dashboards, rules and documents, by where they stand.
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
	documented(t, all)
	return all
}

// Labels that no metric of ours has, since Prometheus gives them to the target.
var targetLabels = []string{"instance", "job", "namespace"}

// askedFor wants dashboards, rules and documents to ask only for what is exported or recorded, with labels and values that are there.
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
	for _, part := range []string{"# " + r.Alert + "\n", "\n## What users notice\n", "\n## First look\n", "\n## Fix\n", "\n## Resolved when\n"} {
		i := strings.Index(string(text)[at:], part)
		if i < 0 {
			t.Errorf("the playbook of %s lacks %q, or has it in another place", r.Alert, strings.TrimSpace(part))
			return
		}
		at += i
	}
}
