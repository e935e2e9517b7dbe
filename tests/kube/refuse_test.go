//go:build kube

package kube

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the server is asked is worth what it refuses.

// TestPodsRefused shows that the standard is enforced.
func TestPodsRefused(t *testing.T) {
	t.Parallel()
	namespace := makeNamespace(t, "refused-pods")
	const right = `{"metadata": {"name": "probe"}, "spec": {
		"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
		"containers": [{"name": "probe", "image": "probe",
			"securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]}}`
	path := fmt.Sprintf(paths["Pod"], namespace)
	create := func(pod string) error { return api.create(t.Context(), path, documents(t, pod)[0], true) }
	if err := create(right); err != nil {
		t.Fatalf("a restricted pod was refused: %v", err)
	}
	for _, test := range []struct{ name, right, wrong, says string }{
		{"root", `"runAsNonRoot": true`, `"runAsUser": 0`, `violates PodSecurity "restricted`},
		{"no seccomp profile", "RuntimeDefault", "Unconfined", `violates PodSecurity "restricted`},
		{"more rights", `"allowPrivilegeEscalation": false`, `"privileged": true`, `violates PodSecurity "restricted`},
		{"a misspelt field", `"runAsNonRoot"`, `"runAsNonRot"`, "runAsNonRot"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := create(strings.Replace(right, test.right, test.wrong, 1))
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("refused for %v, want %s", err, test.says)
			}
		})
	}
}

// TestChartsRefused shows that an installation fails for what the server does not know.
func TestChartsRefused(t *testing.T) {
	t.Parallel()
	for name, object := range map[string]string{
		"replicaz": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: probe}
spec:
  replicaz: 1
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: probe, image: probe}]}}`,
		"intervall": `
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: probe}
spec: {selector: {}, endpoints: [{port: admin, intervall: 30s}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, content := range map[string]string{
				"Chart.yaml":            "{apiVersion: v2, name: wrong, version: 0.1.0}",
				"templates/object.yaml": object,
			} {
				path := filepath.Join(dir, filepath.FromSlash(file))
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, log, err := runHelm(t, makeNamespace(t, "refused-"+name), "install", release, dir)
			if err == nil || !strings.Contains(log, name) {
				t.Errorf("%v, and nothing of %s in\n%s", err, name, log)
			}
		})
	}
}
