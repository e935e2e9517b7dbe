package chart

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"
)

// TestRollout makes sure that pods are replaced when what they read only at their start has changed, and no others.
func TestRollout(t *testing.T) {
	t.Parallel()
	file := filepath.Join(chartDir, "ci", "plain-secrets-values.yaml")
	pods := func(t *testing.T, set ...string) map[string]string {
		t.Helper()
		in := clusters(t)
		args := []string{"--values", file}
		for _, value := range set {
			args = append(args, "--set-string", value)
		}
		sums := map[string]string{}
		for _, pod := range sortOut(t, render(t, in[len(in)-1], chartDir, args...)).pods {
			sums[pod.Spec.Containers[0].Name] = pod.Annotations["checksum/config"] + " " + pod.Annotations["checksum/values"]
		}
		return sums
	}
	before := pods(t)
	for _, test := range []struct {
		name, value string
		want        []string
	}{
		{"a setting of the bridge", "config.log.level=debug", []string{"bridge"}},
		{"a cloud's header", "clouds[0].webhook.header=X-Brücke", []string{"bridge"}},
		{"a secret that was given as a value", "clouds[0].api.key.value=ein-neuer-schluessel", []string{"bridge"}},
		{"a setting of NATS", "nats.bundled.maxPayload=16MB", []string{"nats"}},
		{"what no process reads", "publicURL=https://hooks.example.com", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			after := pods(t, test.value)
			var changed []string
			for _, pod := range slices.Sorted(maps.Keys(after)) {
				if after[pod] != before[pod] {
					changed = append(changed, pod)
				}
			}
			if len(before) != 2 || len(after) != 2 || !slices.Equal(changed, test.want) {
				t.Errorf("of %v, %v are replaced, want %v", before, changed, test.want)
			}
		})
	}
}
