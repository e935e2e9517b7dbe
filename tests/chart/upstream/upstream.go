// Package upstream fetches what others say of their kinds of objects: Kubernetes itself, and the projects whose custom
// resources the chart can make. In come names and checksums, out go folders in Go's module cache, from where a second
// run takes them. It never changes a go.mod, and it never takes anything but the versions below.
package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// Module is one published version of a Go module. It is no requirement of a go.mod, since that would bring in what the
// module itself requires, which is a lot, and we only read files.
type Module struct {
	Path    string
	Version string
	// Sum is the checksum of its content, in the form of go.sum.
	Sum string
}

// The versions that the chart is checked against.
var (
	// Kubernetes has the newest version that the chart is rendered for; the API server of tests/kube is of the same.
	Kubernetes = Module{
		Path: "k8s.io/kubernetes", Version: "v1.37.2",
		Sum: "h1:A2VDEiObzkYqFTKhSsn0ZEb0RlLEXpHWj93gi2HqEwE=",
	}
	keda = Module{
		Path: "github.com/kedacore/keda/v2", Version: "v2.21.0",
		Sum: "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
	}
	gateway = Module{
		Path: "sigs.k8s.io/gateway-api", Version: "v1.6.3",
		Sum: "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=",
	}
	prometheus = Module{
		Path: "github.com/prometheus-operator/prometheus-operator", Version: "v0.85.0",
		Sum: "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
	}
)

// Fetch returns the folder with the module's files, which are read-only.
func (m Module) Fetch(ctx context.Context) (string, error) {
	// Outside of any module, so that the one that asks stays as it is.
	elsewhere, err := os.MkdirTemp("", "upstream-")
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", m.Path, err)
	}
	defer os.RemoveAll(elsewhere) //nolint:errcheck // it is empty

	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", m.Path+"@"+m.Version) //nolint:gosec // a constant
	cmd.Dir = elsewhere
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := cmd.Output()
	var got struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr != nil {
		return "", fmt.Errorf("fetch %s@%s: %w", m.Path, m.Version, errors.Join(err, jsonErr))
	}
	switch {
	case got.Error != "":
		return "", fmt.Errorf("fetch %s@%s: %s", m.Path, m.Version, got.Error)
	case got.Sum != m.Sum:
		return "", fmt.Errorf("fetch %s@%s: its checksum is %s, not %s", m.Path, m.Version, got.Sum, m.Sum)
	default:
		return got.Dir, nil
	}
}

// Swagger returns the description of all kinds of Kubernetes' own.
func Swagger(ctx context.Context) ([]byte, error) {
	dir, err := Kubernetes.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "api", "openapi-spec", "swagger.json"))
}

// Definitions returns the CustomResourceDefinitions of KEDA, of the Gateway API's standard channel and of the Prometheus
// operator, each as JSON.
func Definitions(ctx context.Context) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for _, from := range []struct {
		module Module
		folder string
	}{
		{keda, "config/crd/bases"},
		{gateway, "config/crd/standard"},
		{prometheus, "example/prometheus-operator-crd"},
	} {
		dir, err := from.module.Fetch(ctx)
		if err != nil {
			return nil, err
		}
		found, err := definitions(os.DirFS(filepath.Join(dir, filepath.FromSlash(from.folder))))
		if err != nil {
			return nil, fmt.Errorf("definitions of %s: %w", from.module.Path, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// definitions returns those of all YAML files of a folder, and it is an error if there are none.
func definitions(folder fs.FS) ([]json.RawMessage, error) {
	names, err := fs.Glob(folder, "*.yaml")
	if err != nil {
		return nil, err
	}
	var found []json.RawMessage
	for _, name := range names {
		content, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		docs, err := Documents(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, doc := range docs {
			var object struct{ Kind string }
			if err := json.Unmarshal(doc, &object); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if object.Kind == "CustomResourceDefinition" {
				found = append(found, doc)
			}
		}
	}
	if len(found) == 0 {
		return nil, errors.New("none found")
	}
	return found, nil
}

// Documents returns the documents of a YAML stream as JSON, without the empty ones. A line of "---" always ends a
// document, as it does for kubectl: a block of text that has one would be cut in two.
func Documents(stream io.Reader) ([]json.RawMessage, error) {
	content, err := io.ReadAll(stream)
	if err != nil {
		return nil, err
	}
	var docs []json.RawMessage
	for part := range strings.SplitSeq("\n"+string(content), "\n---") {
		doc, err := yaml.YAMLToJSONStrict([]byte(part))
		if err != nil {
			return nil, err
		}
		if string(doc) != "null" {
			docs = append(docs, doc)
		}
	}
	return docs, nil
}
