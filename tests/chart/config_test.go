package chart

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/factro-bridge/factro-bridge/tests/chart/upstream"
)

// Where the chart mounts what the programs read.
const (
	configPath = "/etc/factro-bridge"
	secretPath = "/run/secrets/factro-bridge/"
)

// understood has the bridge and the NATS server themselves read the configuration of every pod of a rendering, and
// compares the files of secrets that are named in it with those that the pod has.
func understood(t *testing.T, text string) {
	t.Helper()
	docs, err := upstream.Documents(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	made := data(t, docs, "ConfigMap")
	for name, secret := range data(t, docs, "Secret") {
		for key, value := range secret {
			if strings.Count(text, value) != 1 {
				t.Errorf("%s of Secret %s is elsewhere too", key, name)
			}
		}
	}
	bridges := 0
	for _, doc := range docs {
		template, err := upstream.PodTemplate(doc)
		if err != nil {
			t.Fatal(err)
		}
		if template == nil {
			continue
		}
		var pod corev1.Pod
		if err := json.Unmarshal(template, &pod); err != nil {
			t.Fatal(err)
		}
		if pod.Spec.Containers[0].Name == "nats" {
			natsReads(t, &pod, made)
		} else {
			bridgeReads(t, &pod, made)
			bridges++
		}
	}
	if bridges == 0 {
		t.Error("there is no bridge")
	}
}

// bridgeReads has the bridge check the configuration of a pod.
func bridgeReads(t *testing.T, pod *corev1.Pod, made map[string]map[string]string) {
	t.Helper()
	for _, container := range pod.Spec.Containers {
		secretsAreFiles(t, &container)
	}
	files := made[volume(t, pod, "config").ConfigMap.Name]
	dir := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(dir, name), strings.ReplaceAll(content, configPath, dir))
	}
	if _, log, err := run(t, nil, bridge, "config", "check", filepath.Join(dir, "bridge.yaml")); err != nil {
		t.Errorf("%v\n%s\n%s", err, log, files["bridge.yaml"])
	}

	var named, had []string
	for _, path := range regexp.MustCompile(`(?m)`+secretPath+`(\S+)$`).FindAllStringSubmatch(files["bridge.yaml"], -1) {
		named = append(named, path[1])
	}
	for _, source := range volume(t, pod, "secrets").Projected.Sources {
		for _, item := range source.Secret.Items {
			had = append(had, item.Path)
		}
	}
	slices.Sort(named)
	slices.Sort(had)
	if !slices.Equal(named, had) {
		t.Errorf("the configuration names %v, and the pod has %v", named, had)
	}
}

// secretsAreFiles makes sure that a secret that changes arrives, and that no list of variables shows it.
func secretsAreFiles(t *testing.T, container *corev1.Container) {
	t.Helper()
	for _, env := range container.Env {
		// OpenTelemetry reads its headers nowhere else.
		if env.ValueFrom != nil && env.ValueFrom.SecretKeyRef != nil && env.Name != "OTEL_EXPORTER_OTLP_HEADERS" {
			t.Errorf("%s has the secret %s in its environment", container.Name, env.ValueFrom.SecretKeyRef)
		}
	}
	for _, mount := range container.VolumeMounts {
		if mount.SubPath != "" || mount.SubPathExpr != "" {
			t.Errorf("%s mounts %s by a subPath, which never changes", container.Name, mount.MountPath)
		}
	}
}

// natsReads has the server check its configuration. It is the server of the bridge's own tests, at their version.
func natsReads(t *testing.T, pod *corev1.Pod, made map[string]map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for _, source := range volume(t, pod, "config").Projected.Sources {
		if source.ConfigMap != nil {
			for name, content := range made[source.ConfigMap.Name] {
				write(t, filepath.Join(dir, name), content)
			}
		} else {
			// A Secret of somebody's; tests of the bridge have a server read deploy/nats/auth.conf.
			write(t, filepath.Join(dir, source.Secret.Items[0].Path), "authorization {user: müller, password: geheim}\n")
		}
	}
	file := filepath.Join(dir, "nats.conf")
	if _, log, err := run(t, nil, "env", "POD_NAME=probe-0", natsServer, "-t", "-c", file); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
}

// volume returns a volume of a pod, which it must have.
func volume(t *testing.T, pod *corev1.Pod, name string) *corev1.Volume {
	t.Helper()
	at := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name })
	if at < 0 {
		t.Fatalf("%s has no volume %s", pod.Spec.Containers[0].Name, name)
	}
	return &pod.Spec.Volumes[at]
}

// data returns what is in the ConfigMaps or the Secrets of a rendering, by their names.
func data(t *testing.T, docs []json.RawMessage, kind string) map[string]map[string]string {
	t.Helper()
	found := map[string]map[string]string{}
	for _, doc := range docs {
		var object struct {
			Kind             string
			Metadata         metav1.ObjectMeta
			Data, StringData map[string]string
		}
		if err := json.Unmarshal(doc, &object); err == nil && object.Kind == kind {
			found[object.Metadata.Name] = object.Data
			if kind == "Secret" {
				found[object.Metadata.Name] = object.StringData
			}
		}
	}
	return found
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
