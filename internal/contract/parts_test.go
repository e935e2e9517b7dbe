package contract

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// The documents of the resources are valid, hold together, say nothing of other resources, and are the whole between them.
func TestAsyncAPIOfEachResource(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/asyncapi-3.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	rules := compiled(t, newCompiler(), "http://asyncapi.com/definitions/3.1.0/asyncapi.json", text)
	whole := topLevel(t, documentValue(t))
	found := map[string]map[string]bool{"channels": {}, "operations": {}, "components/messages": {}, "components/schemas": {}}
	for _, resource := range Resources() {
		text, err := asJSONDocument(AsyncAPIOf(events.DefaultPrefix, resource))
		if err != nil {
			t.Fatalf("%s: %v", resource, err)
		}
		doc := value(t, text)
		if err := rules.Validate(doc); err != nil {
			t.Errorf("%s: %v", resource, err)
		}
		wantTogether(t, doc)
		for kind, seen := range found {
			part := within(topLevel(t, doc), kind)
			if len(part) == 0 {
				t.Errorf("%s has no %s", resource, kind)
			}
			all := within(whole, kind)
			for name := range part {
				seen[name] = true
				if all[name] == nil {
					t.Errorf("%s has %s of %s, which the whole has not", resource, name, kind)
				}
			}
		}
		for _, kind := range []string{"components/messages", "components/schemas", "components/parameters", "components/messageTraits"} {
			for name := range within(topLevel(t, doc), kind) {
				if !strings.Contains(string(text), `"#/`+kind+"/"+name+`"`) {
					t.Errorf("%s has %s of %s, to which nothing refers", resource, name, kind)
				}
			}
		}
		for name, channel := range readAsyncAPI(t, text, nil).Channels {
			if subject := strings.Split(channel.Address, "."); channel.Address != "" && name != deadWebhookName && name != schemas.StatusName && name != schemas.CancelName && !slices.Contains(subject, resource) {
				t.Errorf("%s has the subject %s", resource, channel.Address)
			}
		}
	}
	for kind, seen := range found {
		if missing := without(slices.Sorted(maps.Keys(within(whole, kind))), seen); len(missing) > 0 {
			t.Errorf("no resource has %v of %s", missing, kind)
		}
	}
	if _, err := AsyncAPIOf(events.DefaultPrefix, "tasks"); err == nil || !strings.Contains(err.Error(), `"tasks"`) || !strings.Contains(err.Error(), "task, team") {
		t.Errorf("of a resource that is none it says %v", err)
	}
}

// A message is the same in the whole and in its part.
func TestPartsSayWhatTheWholeSays(t *testing.T) {
	t.Parallel()
	whole := topLevel(t, documentValue(t))
	text, err := asJSONDocument(AsyncAPIOf(events.DefaultPrefix, "task"))
	if err != nil {
		t.Fatal(err)
	}
	part := topLevel(t, value(t, text))
	for _, kind := range []string{"components/messages", "components/schemas", "components/messageTraits", "components/parameters"} {
		for name, got := range within(part, kind) {
			if want := within(whole, kind)[name]; !reflect.DeepEqual(got, want) {
				t.Errorf("%s %s is %v, in the whole %v", kind, name, got, want)
			}
		}
	}
	if len(text) > 512<<10 {
		t.Errorf("the largest part has %d bytes", len(text))
	}
}

func topLevel(t testing.TB, doc any) map[string]any {
	t.Helper()
	m, ok := doc.(map[string]any)
	if !ok {
		t.Fatalf("the document is %T", doc)
	}
	return m
}

// within returns the members below a path.
func within(doc map[string]any, path string) map[string]any {
	for step := range strings.SplitSeq(path, "/") {
		doc, _ = doc[step].(map[string]any)
	}
	return doc
}

func without(names []string, seen map[string]bool) []string {
	return slices.DeleteFunc(names, func(name string) bool { return seen[name] })
}
