package chart

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/factro-bridge/factro-bridge/tests/chart/schema"
	"github.com/factro-bridge/factro-bridge/tests/chart/upstream"
)

// customAPIs are the ones that a cluster has in which everything is installed that the chart can work with.
var customAPIs = []string{
	"monitoring.coreos.com/v1", "monitoring.coreos.com/v1/ServiceMonitor", "monitoring.coreos.com/v1/PrometheusRule",
	"keda.sh/v1alpha1", "keda.sh/v1alpha1/ScaledObject",
	"gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1/HTTPRoute",
}

// cluster is what a rendering takes for granted.
type cluster struct {
	name    string
	version string
	apis    []string
}

// clusters are a bare one at the oldest version that Chart.yaml allows, and a full one at the newest that there is.
func clusters(t *testing.T) []cluster {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(chartDir, "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var meta struct{ KubeVersion string }
	if err := yaml.Unmarshal(content, &meta); err != nil {
		t.Fatal(err)
	}
	oldest := regexp.MustCompile(`^>=\s*(\d+\.\d+\.\d+)`).FindStringSubmatch(meta.KubeVersion)
	if oldest == nil {
		t.Fatalf("kubeVersion %q in Chart.yaml names no oldest version", meta.KubeVersion)
	}
	return []cluster{
		{name: "oldest Kubernetes", version: oldest[1]},
		{name: "newest Kubernetes", version: strings.TrimPrefix(upstream.Kubernetes.Version, "v"), apis: customAPIs},
	}
}

// TestValueFiles renders every value file for every cluster and looks at all that comes out; then, whether the files
// together have shown all of the chart.
func TestValueFiles(t *testing.T) { //nolint:tparallel // what the files have shown is known when all are through
	t.Parallel()
	if len(valueFiles()) == 0 {
		t.Fatal("the chart has no value files in ci/")
	}
	var seen coverage
	t.Run("file", func(t *testing.T) {
		for _, file := range valueFiles() {
			seen.values(t, file)
			t.Run(strings.TrimSuffix(filepath.Base(file), "-values.yaml"), func(t *testing.T) {
				t.Parallel()
				lint(t, file)
				for _, in := range clusters(t) {
					t.Run(in.name, func(t *testing.T) {
						t.Parallel()
						text := render(t, in, chartDir, "--values", file)
						if again := render(t, in, chartDir, "--values", file); again != text {
							t.Error("the second rendering differs: every upgrade would restart pods")
						}
						seen.sources(text)
						inspect(t, text)
						understood(t, text)
						references(t, text)
					})
				}
			})
		}
	})
	seen.switches(t)
	seen.templates(t)
}

// TestLintDefaults finds what is wrong with the chart before anybody chose anything.
func TestLintDefaults(t *testing.T) {
	t.Parallel()
	lint(t, "")
}

// TestUnit runs the chart's own tests.
func TestUnit(t *testing.T) {
	t.Parallel()
	_, log, err := run(t, nil, unittest, "--strict", "--color=false", "--file", "tests/*_test.yaml", chartDir)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	tests := regexp.MustCompile(`(?m)^Tests: +.*\b(\d+) total`).FindStringSubmatch(log)
	if tests == nil || tests[1] == "0" {
		t.Fatalf("no test ran:\n%s", log)
	}
	t.Logf("helm-unittest: %s tests", tests[1])
}

// lint has Helm look at the chart with a value file, or without one.
func lint(t *testing.T, file string) {
	t.Helper()
	args := []string{"lint", "--strict", chartDir}
	if file != "" {
		args = append(args, "--values", file)
	}
	if _, log, err := run(t, nil, helm, args...); err != nil {
		t.Errorf("helm lint --strict: %v\n%s", err, log)
	}
}

// render returns what the chart makes in a cluster.
func render(t *testing.T, in cluster, chart string, args ...string) string {
	t.Helper()
	args = append([]string{"template", release, chart, "--namespace", "factro", "--kube-version", in.version}, args...)
	for _, api := range in.apis {
		args = append(args, "--api-versions", api)
	}
	text, log, err := run(t, nil, helm, args...)
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, log)
	}
	renderings.Add(1)
	return text
}

// inspect checks everything that can be said of a rendering without a cluster.
func inspect(t *testing.T, text string) {
	t.Helper()
	docs, err := upstream.Documents(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) == 0 {
		t.Fatal("nothing was rendered")
	}
	conform(t, text, len(docs))
	names := map[string]bool{}
	for _, doc := range docs {
		var object struct {
			APIVersion string
			Kind       string
			Metadata   metav1.ObjectMeta
		}
		if err := json.Unmarshal(doc, &object); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%s %s %s/%s", object.APIVersion, object.Kind, object.Metadata.Namespace, object.Metadata.Name)
		if names[name] {
			t.Errorf("%s is there twice", name)
		}
		names[name] = true
		if problem, found := insecure(t, doc); problem != "" {
			t.Errorf("%s: not restricted: %s", name, problem)
		} else if found {
			pods.Add(1)
		}
	}
}

// conform has kubeconform hold objects against their schemas.
func conform(t *testing.T, text string, want int) {
	t.Helper()
	summary, err := kubeconformSummary(t, text)
	if err != nil {
		t.Error(err)
	}
	if summary.Valid != want || summary.Skipped != 0 {
		t.Errorf("%d of %d objects are valid, %d were not looked at", summary.Valid, want, summary.Skipped)
	}
	objects.Add(int64(summary.Valid))
}

// summary is kubeconform's count of objects.
type summary struct{ Valid, Invalid, Errors, Skipped int }

// kubeconformSummary returns an error with what kubeconform found wrong.
func kubeconformSummary(t *testing.T, text string) (summary, error) {
	t.Helper()
	out, log, err := run(t, []byte(text), kubeconform, "-strict", "-summary", "-output=json",
		"-schema-location", schema.Location(schemas))
	var report struct {
		Resources []struct{ Kind, Name, Msg string }
		Summary   summary
	}
	if jsonErr := json.Unmarshal([]byte(out), &report); jsonErr != nil {
		t.Fatalf("kubeconform: %v\n%s", errors.Join(err, jsonErr), log)
	}
	for _, found := range report.Resources {
		err = errors.Join(err, fmt.Errorf("%s %s: %s", found.Kind, found.Name, found.Msg))
	}
	return report.Summary, err
}

// insecure says why a namespace that enforces the restricted standard would refuse the pods of an object, and whether
// the object has pods at all. It is the code that decides in the API server as well.
func insecure(t *testing.T, doc []byte) (problem string, found bool) {
	t.Helper()
	template, err := upstream.PodTemplate(doc)
	if err != nil {
		t.Fatal(err)
	}
	if template == nil {
		return "", false
	}
	var pod corev1.Pod
	if err := json.Unmarshal(template, &pod); err != nil {
		t.Fatal(err)
	}
	checks, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	result := policy.AggregateCheckResults(checks.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
	if !result.Allowed {
		return result.ForbiddenDetail(), true
	}
	return "", true
}
