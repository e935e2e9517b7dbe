//go:build kube

package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/tests/chart/upstream"
)

const (
	release = "probe"
	// commandTime bounds one run of Helm.
	commandTime = 2 * time.Minute
)

// How much went through, for the last line.
var installed, admitted atomic.Int64

// paths are where the kinds live that the chart can make. A kind that is missing here fails its test.
var paths = map[string]string{
	"ConfigMap":               "/api/v1/namespaces/%s/configmaps",
	"Pod":                     "/api/v1/namespaces/%s/pods",
	"Secret":                  "/api/v1/namespaces/%s/secrets",
	"Service":                 "/api/v1/namespaces/%s/services",
	"ServiceAccount":          "/api/v1/namespaces/%s/serviceaccounts",
	"Deployment":              "/apis/apps/v1/namespaces/%s/deployments",
	"StatefulSet":             "/apis/apps/v1/namespaces/%s/statefulsets",
	"HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/%s/horizontalpodautoscalers",
	"Job":                     "/apis/batch/v1/namespaces/%s/jobs",
	"ScaledObject":            "/apis/keda.sh/v1alpha1/namespaces/%s/scaledobjects",
	"HTTPRoute":               "/apis/gateway.networking.k8s.io/v1/namespaces/%s/httproutes",
	"Ingress":                 "/apis/networking.k8s.io/v1/namespaces/%s/ingresses",
	"NetworkPolicy":           "/apis/networking.k8s.io/v1/namespaces/%s/networkpolicies",
	"PodDisruptionBudget":     "/apis/policy/v1/namespaces/%s/poddisruptionbudgets",
	"PrometheusRule":          "/apis/monitoring.coreos.com/v1/namespaces/%s/prometheusrules",
	"ServiceMonitor":          "/apis/monitoring.coreos.com/v1/namespaces/%s/servicemonitors",
}

// TestInstall installs the chart with each of its value files in a namespace of its own, upgrades it to a newer version
// of itself, and takes it away.
func TestInstall(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(chartDir, "ci", "*-values.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the chart has no value files in ci/: %v", err)
	}
	newer := pack(t, "99.0.0")
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), "-values.yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := makeNamespace(t, name)
			must(t, namespace, "install", release, chartDir, "--values", file)
			count := examine(t, namespace)
			must(t, namespace, "upgrade", release, chartDir, "--values", file)
			// What carries the version of the chart or of the image must be something that can be changed.
			must(t, namespace, "upgrade", release, newer, "--values", file)
			if again := examine(t, namespace); again != count {
				t.Errorf("%d objects, and %d after the upgrade", count, again)
			}
			must(t, namespace, "rollback", release, "1")
			must(t, namespace, "uninstall", release)
			empty(t, namespace)
			installed.Add(int64(count))
		})
	}
}

// makeNamespace makes one in which only restricted pods may be.
func makeNamespace(t *testing.T, name string) string {
	t.Helper()
	labels := map[string]string{}
	for _, mode := range []string{"enforce", "warn", "audit"} {
		labels["pod-security.kubernetes.io/"+mode] = "restricted"
	}
	object := map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name, "labels": labels},
	}
	if err := api.create(t.Context(), "/api/v1/namespaces", object, false); err != nil {
		t.Fatal(err)
	}
	return name
}

// pack makes a package of the chart at another version, as for a registry; links in it are followed.
func pack(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, "default", "package", chartDir, "--version", version, "--app-version", version, "--destination", dir)
	return filepath.Join(dir, "factro-bridge-"+version+".tgz")
}

// examine looks at what is in the release and returns how many objects there are. Hooks are not installed yet, so the
// API server gets them here; and pods are made by controllers, and there are none, so it gets those as well.
func examine(t *testing.T, namespace string) int {
	t.Helper()
	objects := documents(t, must(t, namespace, "get", "manifest", release))
	for _, object := range objects {
		checkAdmission(t, namespace, object)
	}
	for _, hook := range documents(t, must(t, namespace, "get", "hooks", release)) {
		checkAdmission(t, namespace, hook)
		var kind struct{ Kind string }
		if err := json.Unmarshal(hook, &kind); err != nil {
			t.Fatal(err)
		}
		if paths[kind.Kind] == "" {
			t.Errorf("where do objects of kind %s live?", kind.Kind)
		} else if err := api.create(t.Context(), fmt.Sprintf(paths[kind.Kind], namespace), hook, true); err != nil {
			t.Errorf("hook: %v", err)
		}
	}
	return len(objects)
}

// checkAdmission lets the API server check the pods of an object. For a Deployment it would only warn.
func checkAdmission(t *testing.T, namespace string, object json.RawMessage) {
	t.Helper()
	pod, err := podOf(object)
	if err != nil {
		t.Fatal(err)
	}
	if pod == nil {
		return
	}
	if err := api.create(t.Context(), fmt.Sprintf(paths["Pod"], namespace), pod, true); err != nil {
		t.Errorf("pod: %v\n%s", err, object)
	}
	admitted.Add(1)
}

// podOf makes the pod that a controller would make of an object, or nil.
func podOf(object json.RawMessage) (map[string]any, error) {
	template, err := upstream.PodTemplate(object)
	if err != nil || template == nil {
		return nil, err
	}
	var pod map[string]any
	if err := json.Unmarshal(template, &pod); err != nil {
		return nil, err
	}
	var owner struct {
		Spec struct {
			VolumeClaimTemplates []struct{ Metadata struct{ Name string } }
		}
	}
	if err := json.Unmarshal(object, &owner); err != nil {
		return nil, err
	}
	spec, _ := pod["spec"].(map[string]any)
	if spec == nil {
		return nil, fmt.Errorf("a pod without a spec: %s", template)
	}
	for _, claim := range owner.Spec.VolumeClaimTemplates {
		volumes, _ := spec["volumes"].([]any)
		spec["volumes"] = append(volumes, map[string]any{
			"name": claim.Metadata.Name, "persistentVolumeClaim": map[string]any{"claimName": claim.Metadata.Name + "-0"},
		})
	}
	metadata, _ := pod["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
	}
	if metadata["name"] == nil {
		metadata["name"] = "made-of-a-template"
	}
	pod["apiVersion"], pod["kind"], pod["metadata"] = "v1", "Pod", metadata
	return pod, nil
}

// empty fails if a release left something behind.
func empty(t *testing.T, namespace string) {
	t.Helper()
	for kind, path := range paths {
		count, err := api.count(t.Context(), fmt.Sprintf(path, namespace))
		if err != nil || count != 0 {
			t.Errorf("%d of kind %s were left behind, %v", count, kind, err)
		}
	}
}

func documents(t *testing.T, text string) []json.RawMessage {
	t.Helper()
	docs, err := upstream.Documents(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

// must runs Helm, which must succeed and must not have been warned of anything.
func must(t *testing.T, namespace string, args ...string) string {
	t.Helper()
	out, log, err := runHelm(t, namespace, args...)
	if err != nil {
		t.Fatalf("helm %s: %v\n%s", args[0], err, log)
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, "would violate") || strings.Contains(strings.ToLower(line), "deprecated") {
			t.Errorf("helm %s: %s", args[0], line)
		}
	}
	return out
}

func runHelm(t *testing.T, namespace string, args ...string) (out, log string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, helm, append(args, "--namespace", namespace, "--kubeconfig", api.config)...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}
