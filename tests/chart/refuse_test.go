package chart

import (
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/tests/chart/upstream"
)

// The checks of the chart are worth what they refuse. Each of these objects is right, and wrong by one replacement.
const (
	deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: brücke, labels: {a: b}}
spec:
  replicas: 2
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: bridge
          image: factro-bridge:0.1.0
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /readyz, port: http}}
          resources: {limits: {cpu: 1.5, memory: 64Mi}}
`
	serviceMonitor = `
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: bridge}
spec:
  selector: {matchLabels: {a: b}}
  endpoints: [{port: admin, interval: 30s}]
`
	scaledObject = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: bridge}
spec:
  scaleTargetRef: {name: bridge}
  maxReplicaCount: 3
  triggers: [{type: nats-jetstream, metadata: {lagThreshold: "5"}}]
`
	httpRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: bridge}
spec:
  hostnames: [hooks.example.com]
  rules: [{backendRefs: [{name: bridge, port: 8080}]}]
`
	rules = `
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: bridge}
spec:
  groups: [{name: bridge, rules: [{alert: Still, expr: up == 0, for: 5m}]}]
`
)

// TestSchemasRefuse is the proof that the schemas are strict, and no stricter than the API server.
func TestSchemasRefuse(t *testing.T) {
	t.Parallel()
	for _, right := range []string{deployment, serviceMonitor, scaledObject, httpRoute, rules} {
		conform(t, right, 1)
	}
	for _, test := range []struct{ name, object, right, wrong, says string }{
		{"a misspelt field", deployment, "replicas:", "replicaz:", "replicaz"},
		{"a misspelt field deep inside", deployment, "containerPort:", "containerPrt:", "containerPrt"},
		{"a misspelt field of a probe", deployment, "httpGet:", "httpget:", "httpget"},
		{"a text for a number", deployment, "replicas: 2", `replicas: "2"`, "got string"},
		{"a number for a text", deployment, "labels: {a: b}", "labels: {a: 1}", "got number"},
		{"a missing field", deployment, "selector: {matchLabels: {a: b}}", "", "selector"},
		{"a misspelt field of metadata", deployment, "metadata: {name: brücke, labels", "metadata: {name: brücke, lables", "lables"},
		{"the wrong version", deployment, "apps/v1", "apps/v1beta1", "could not find schema"},
		{"an unknown kind", deployment, "kind: Deployment", "kind: Deploymint", "could not find schema"},
		{"a misspelt field of a ServiceMonitor", serviceMonitor, "interval:", "intervall:", "intervall"},
		{"misspelt metadata of a ServiceMonitor", serviceMonitor, "{name: bridge}", "{nam: bridge}", "nam"},
		{"a misspelt field of a ScaledObject", scaledObject, "maxReplicaCount:", "maxReplicas:", "maxReplicas"},
		{"a number in a trigger", scaledObject, `"5"`, "5", "got number"},
		{"a misspelt field of an HTTPRoute", httpRoute, "hostnames:", "hostname:", "hostname"},
		{"a misspelt field of an alert", rules, "for:", "four:", "four"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			refused(t, replace(t, test.object, test.right, test.wrong), test.says)
		})
	}
}

// refused fails unless kubeconform names what is wrong.
func refused(t *testing.T, object, says string) {
	t.Helper()
	count, err := kubeconformSummary(t, object)
	if err == nil || count.Valid != 0 || count.Skipped != 0 {
		t.Fatalf("it was not refused: %+v\n%s", count, object)
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("the reason says nothing of %q: %v", says, err)
	}
}

func TestStandardRefuses(t *testing.T) {
	t.Parallel()
	if problem, found := standard(t, deployment); problem != "" || !found {
		t.Fatalf("a restricted pod was refused: %s", problem)
	}
	for _, test := range []struct{ name, right, wrong, says string }{
		{"root", "runAsNonRoot: true", "runAsUser: 0", "runAsNonRoot"},
		{"no seccomp profile", "RuntimeDefault", "Unconfined", "seccompProfile"},
		{"more rights", "allowPrivilegeEscalation: false", "privileged: true", "privileged"},
		{"capabilities", "drop: [ALL]", "drop: [NET_RAW]", "capabilities"},
		{"the node's network", "automountServiceAccountToken: false", "hostNetwork: true", "hostNetwork"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			problem, _ := standard(t, replace(t, deployment, test.right, test.wrong))
			if !strings.Contains(problem, test.says) {
				t.Errorf("refused for %q, want %s", problem, test.says)
			}
		})
	}
}

func standard(t *testing.T, object string) (string, bool) {
	t.Helper()
	docs, err := upstream.Documents(strings.NewReader(object))
	if err != nil || len(docs) != 1 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	return insecure(t, docs[0])
}

// TestValuesRefused shows that values.schema.json catches what would otherwise do nothing at all.
func TestValuesRefused(t *testing.T) {
	t.Parallel()
	files := valueFiles()
	if len(files) == 0 {
		t.Fatal("the chart has no value files in ci/")
	}
	for _, test := range []struct{ name, value, says string }{
		{"an unknown value", "replicaCuont=1", "replicaCuont"},
		{"an unknown value deep inside", "serviceMonitor.intervall=30s", "intervall"},
		{"a text for a switch", "serviceMonitor.enabled=maybe", "serviceMonitor/enabled"},
		{"a text for a number", "nats.bundled.replicas=three", "nats/bundled/replicas"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, log, err := run(t, nil, helm, "template", release, chartDir, "--values", files[0], "--set", test.value)
			if err == nil || !strings.Contains(log, test.says) {
				t.Errorf("%v, and nothing of %q in\n%s", err, test.says, log)
			}
		})
	}
}

// replace makes one replacement, which must be possible.
func replace(t *testing.T, text, from, to string) string {
	t.Helper()
	if !strings.Contains(text, from) {
		t.Fatalf("there is no %q in\n%s", from, text)
	}
	return strings.Replace(text, from, to, 1)
}
