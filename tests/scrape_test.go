package tests

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// family is what one or several bridges export of a metric.
type family struct {
	name, kind, help string
	labels           map[string]map[string]bool // the values that were seen, by label
	series           int
	roles            []string
}

var (
	seriesForm = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	labelForm  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?`)
)

// exported reads the text of /metrics, which Prometheus would read. What it cannot read is a mistake.
func exported(t testing.TB, text string) map[string]*family {
	t.Helper()
	all := map[string]*family{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if words := strings.SplitN(line, " ", 4); words[0] == "#" && len(words) == 4 {
			f := all[words[2]]
			if f == nil {
				f = &family{name: words[2], labels: map[string]map[string]bool{}}
				all[f.name] = f
			}
			switch words[1] {
			case "HELP":
				f.help = strings.NewReplacer(`\\`, `\`, `\n`, "\n").Replace(words[3])
			case "TYPE":
				f.kind = words[3]
			}
			continue
		}
		m := seriesForm.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("/metrics has a line that is none: %q", line)
		}
		f := familyOf(all, m[1])
		if f == nil {
			t.Fatalf("/metrics has a series without a type: %q", line)
		}
		f.series++
		if rest := labelForm.ReplaceAllString(m[2], ""); rest != "" {
			t.Fatalf("/metrics has labels that are none: %q", line)
		}
		for _, l := range labelForm.FindAllStringSubmatch(m[2], -1) {
			value, err := strconv.Unquote(`"` + l[2] + `"`)
			if err != nil {
				t.Fatalf("/metrics has a label that is none: %q", line)
			}
			if f.labels[l[1]] == nil {
				f.labels[l[1]] = map[string]bool{}
			}
			f.labels[l[1]][value] = true
		}
	}
	return all
}

// familyOf is the metric that a series belongs to; a histogram has series of three names.
func familyOf(all map[string]*family, series string) *family {
	if f := all[series]; f != nil {
		return f
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, has := strings.CutSuffix(series, suffix); has && all[base] != nil && (all[base].kind == "histogram" || all[base].kind == "summary") {
			return all[base]
		}
	}
	return nil
}

// merge adds what a process of a role exports.
func merge(into, more map[string]*family, role string) {
	for name, f := range more {
		have := into[name]
		if have == nil {
			into[name], f.roles = f, []string{role}
			continue
		}
		have.series += f.series
		have.roles = append(have.roles, role)
		for label, values := range f.labels {
			if have.labels[label] == nil {
				have.labels[label] = map[string]bool{}
			}
			maps.Copy(have.labels[label], values)
		}
	}
}

// isOwn says whether the bridge itself measures it, and not Go's or Prometheus's library.
func (f *family) isOwn() bool {
	return strings.HasPrefix(f.name, "factro_bridge_") || strings.HasPrefix(f.name, "http_")
}

// labelNames are the labels, without those of buckets.
func (f *family) labelNames() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(f.labels)), func(l string) bool { return l == "le" || l == "quantile" })
}
