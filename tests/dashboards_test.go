package tests

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// expressions is where the dashboards' expressions are written as rules, so that promtool can check them.
var expressions = flag.String("expressions", "", "write the expressions of the dashboards into this file, as rules")

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
		Expr, LegendFormat string
		Datasource         struct{ UID string }
	}
	Options struct {
		Legend map[string]any
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

var legendLabel = regexp.MustCompile(`\{\{\s*([a-z_]+)\s*\}\}`)

func wantPanel(t *testing.T, file string, p panel) {
	t.Helper()
	if !strings.HasSuffix(p.Title, "?") || p.Description == "" {
		t.Errorf("%s: %q is no question, or is not described", file, p.Title)
	}
	if p.FieldConfig.Defaults.Unit == "" || len(p.FieldConfig.Defaults.Thresholds.Steps) == 0 || len(p.Targets) == 0 {
		t.Errorf("%s: %q has no unit, thresholds or expression", file, p.Title)
	}
	if l := p.Options.Legend; l != nil && l["showLegend"] != true { // Grafana does not fill it in for a file
		t.Errorf("%s: %q hides its legend", file, p.Title)
	}
	if p.Datasource.UID != "${datasource}" {
		t.Errorf("%s: %q has a data source of its own", file, p.Title)
	}
	for _, target := range p.Targets {
		if target.Datasource.UID != "${datasource}" || target.Expr == "" {
			t.Errorf("%s: %q has an expression without words, or with a data source of its own", file, p.Title)
		}
		q, err := parseQuery(target.Expr)
		if err != nil {
			t.Errorf("%s: %q: %v", file, p.Title, err)
		}
		for _, l := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
			if !slices.Contains(q.by, l[1]) && !slices.Contains(targetLabels, l[1]) && strings.Contains(target.Expr, " by (") {
				t.Errorf("%s: the legend of %q has the label %s, which the expression drops", file, p.Title, l[1])
			}
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
