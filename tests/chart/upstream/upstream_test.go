package upstream_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/tests/chart/upstream"
)

// TestChecksum makes sure that nobody gets files that differ from those that were looked at.
func TestChecksum(t *testing.T) {
	t.Parallel()
	other := upstream.Kubernetes
	other.Sum = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	if dir, err := other.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("%s, %v", dir, err)
	}
}

// TestSameKubernetes makes sure that the schemas are those of the API server that tests/kube starts.
func TestSameKubernetes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"../../kube/go.mod": "\n\t" + upstream.Kubernetes.Path + " " + upstream.Kubernetes.Version + "\n",
		"../../kube/go.sum": upstream.Kubernetes.Path + " " + upstream.Kubernetes.Version + " " + upstream.Kubernetes.Sum + "\n",
	} {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(content), want) {
			t.Errorf("%s has no %q", name, want)
		}
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	docs, err := upstream.Documents(strings.NewReader("---\n# Source: a\nkind: Straße\n---\n# nothing\n--- \n{kind: Weg}\n"))
	if err != nil || len(docs) != 2 || string(docs[0]) != `{"kind":"Straße"}` || string(docs[1]) != `{"kind":"Weg"}` {
		t.Errorf("%s, %v", docs, err)
	}
	if docs, err := upstream.Documents(strings.NewReader("a: 1\na: 2\n")); err == nil {
		t.Errorf("a key that is there twice: %s", docs)
	}
}

func TestPodTemplate(t *testing.T) {
	t.Parallel()
	for object, want := range map[string]string{
		`{"kind":"Pod","spec":{}}`:                                                `{"kind":"Pod","spec":{}}`,
		`{"kind":"StatefulSet","spec":{"template":{"a":1}}}`:                      `{"a":1}`,
		`{"kind":"CronJob","spec":{"jobTemplate":{"spec":{"template":{"a":2}}}}}`: `{"a":2}`,
		`{"kind":"ExternalSecret","spec":{"template":"no pod"}}`:                  ``,
	} {
		got, err := upstream.PodTemplate(json.RawMessage(object))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", object, got, err)
		}
	}
}
