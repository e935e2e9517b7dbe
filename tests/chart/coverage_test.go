package chart

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// coverage is what the value files have shown of the chart.
type coverage struct {
	mu    sync.Mutex
	made  map[string]bool          // templates that made an object
	state map[string]map[bool]bool // the states in which a switch was seen
}

// values adds a value file. Together with the defaults it says which switches are on.
func (c *coverage) values(t *testing.T, file string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == nil {
		c.state = map[string]map[bool]bool{}
	}
	given := readValues(t, file)
	set := switches(given, "")
	// What one workload has of its own stands for what all have.
	workloads, _ := given["workloads"].(map[string]any)
	for _, workload := range workloads {
		workload, _ := workload.(map[string]any)
		maps.Copy(set, switches(workload, "defaults."))
	}
	for path, state := range switches(readValues(t, filepath.Join(chartDir, "values.yaml")), "") {
		if given, ok := set[path]; ok {
			state = given
		}
		if c.state[path] == nil {
			c.state[path] = map[bool]bool{}
		}
		c.state[path][state] = true
	}
}

// sources adds a rendering.
func (c *coverage) sources(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil {
		c.made = map[string]bool{}
	}
	for _, match := range regexp.MustCompile(`(?m)^# Source: [^/]+/(.+)$`).FindAllStringSubmatch(text, -1) {
		c.made[match[1]] = true
	}
}

// switches fails unless each is on in one file and off in another.
func (c *coverage) switches(t *testing.T) {
	t.Helper()
	if len(c.state) == 0 {
		t.Fatal("values.yaml has no switches")
	}
	for _, path := range slices.Sorted(maps.Keys(c.state)) {
		for _, state := range []bool{true, false} {
			if !c.state[path][state] {
				t.Errorf("%s is %t in no value file", path, state)
			}
		}
	}
	t.Logf("%d switches", len(c.state))
}

// templates fails unless each makes an object with one of the files.
func (c *coverage) templates(t *testing.T) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(filepath.Join(chartDir, "templates"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		files++
		name, err := filepath.Rel(chartDir, path)
		if err == nil && !c.made[filepath.ToSlash(name)] {
			t.Errorf("%s makes nothing with any value file", name)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("%d templates found, %v", files, err)
	}
	t.Logf("%d templates", files)
}

func readValues(t *testing.T, file string) map[string]any {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(content, &values); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return values
}

// switches returns every "enabled" below a value, with its default.
func switches(values map[string]any, prefix string) map[string]bool {
	found := map[string]bool{}
	for key, value := range values {
		switch value := value.(type) {
		case bool:
			if key == "enabled" {
				found[prefix+key] = value
			}
		case map[string]any:
			maps.Copy(found, switches(value, prefix+key+"."))
		}
	}
	return found
}

// TestSchemaUsed finds what may be given and changes nothing: each property of the schema has to be read in a template.
func TestSchemaUsed(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := yaml.Unmarshal(content, &schema); err != nil {
		t.Fatal(err)
	}
	var templates []byte
	err = filepath.WalkDir(filepath.Join(chartDir, "templates"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		templates = append(templates, content...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// The bridge reads these itself; Helm's own; and the names of workloads.
	top, _ := schema["properties"].(map[string]any)
	for _, name := range []string{"config", "global", "workloads"} {
		delete(top, name)
	}
	names := properties(schema)
	for name := range names {
		if !regexp.MustCompile(`\.` + name + `\b`).Match(templates) {
			t.Errorf("no template reads %s", name)
		}
	}
	if len(names) == 0 {
		t.Error("there are none")
	}
	t.Logf("%d names of values", len(names))
}

// properties returns the names of all values in a schema whose names the templates must know.
func properties(schema any) map[string]bool {
	names := map[string]bool{}
	switch schema := schema.(type) {
	case map[string]any:
		for key, below := range schema {
			if key == "probe" || key == "policy" || key == "policyRules" {
				continue // copied as it is
			}
			if fields, _ := below.(map[string]any); key == "properties" {
				for name := range fields {
					names[name] = true
				}
			}
			maps.Copy(names, properties(below))
		}
	case []any:
		for _, below := range schema {
			maps.Copy(names, properties(below))
		}
	}
	return names
}
