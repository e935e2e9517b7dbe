package chart

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/factro-bridge/factro-bridge/tests/chart/upstream"
)

// object has what objects of several kinds say of others.
type object struct {
	Kind     string
	Metadata metav1.ObjectMeta
	Spec     struct {
		ServiceName    string // of a StatefulSet
		PodSelector    *metav1.LabelSelector
		ScaleTargetRef *struct{ Kind, Name string }
		Endpoints      []struct{ Port string } // of a ServiceMonitor
		Rules          []struct {
			HTTP struct { // of an Ingress
				Paths []struct {
					Backend struct {
						Service struct {
							Name string
							Port struct{ Name string }
						}
					}
				}
			}
			BackendRefs []struct { // of an HTTPRoute
				Name string
				Port int32
			}
		}
	}
	// selector is in the spec as well. It has one form in a Service and another one in everything else.
	selector labels.Selector
}

// made is what a rendering makes, sorted by what others refer to.
type made struct {
	objects  []object
	pods     []corev1.Pod
	services map[string]corev1.Service
}

// references fails for what no schema can see: an object that names another one, or a port of it, that is not there.
func references(t *testing.T, text string) {
	t.Helper()
	all := sortOut(t, text)
	for _, pod := range all.pods {
		for _, container := range pod.Spec.Containers {
			for _, probe := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
				if probe != nil && probe.HTTPGet != nil && !hasPort(container.Ports, probe.HTTPGet.Port.StrVal) {
					t.Errorf("a probe of %s asks port %s, which it has not", container.Name, &probe.HTTPGet.Port)
				}
			}
		}
	}
	for name, service := range all.services {
		for _, pod := range all.selected(t, "Service "+name, labels.SelectorFromSet(service.Spec.Selector)) {
			for _, port := range service.Spec.Ports {
				listens := func(c corev1.Container) bool { return hasPort(c.Ports, port.TargetPort.StrVal) }
				if !slices.ContainsFunc(pod.Spec.Containers, listens) {
					t.Errorf("Service %s leads to port %s, which its pods have not", name, &port.TargetPort)
				}
			}
		}
	}
	for _, object := range all.objects {
		name := object.Kind + " " + object.Metadata.Name
		switch object.Kind {
		case "PodDisruptionBudget", "NetworkPolicy", "Deployment", "StatefulSet":
			all.selected(t, name, object.selector)
		case "ServiceMonitor":
			all.watched(t, name, object)
		}
		if service := object.Spec.ServiceName; service != "" && all.services[service].Spec.ClusterIP != corev1.ClusterIPNone {
			t.Errorf("%s: there is no headless Service %s", name, service)
		}
		if target := object.Spec.ScaleTargetRef; target != nil && !all.has(target.Kind, target.Name) {
			t.Errorf("%s: there is no %s %s to scale", name, target.Kind, target.Name)
		}
		for _, rule := range object.Spec.Rules {
			for _, path := range rule.HTTP.Paths {
				to := path.Backend.Service
				same := func(p corev1.ServicePort) bool { return p.Name == to.Port.Name }
				if !slices.ContainsFunc(all.services[to.Name].Spec.Ports, same) {
					t.Errorf("%s: there is no port %s of a Service %s", name, to.Port.Name, to.Name)
				}
			}
			for _, to := range rule.BackendRefs {
				same := func(p corev1.ServicePort) bool { return p.Port == to.Port }
				if !slices.ContainsFunc(all.services[to.Name].Spec.Ports, same) {
					t.Errorf("%s: there is no port %d of a Service %s", name, to.Port, to.Name)
				}
			}
		}
	}
}

func sortOut(t *testing.T, text string) made {
	t.Helper()
	docs, err := upstream.Documents(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	all := made{services: map[string]corev1.Service{}}
	for _, doc := range docs {
		var one object
		if err := json.Unmarshal(doc, &one); err != nil {
			t.Fatal(err)
		}
		template, err := upstream.PodTemplate(doc)
		if err != nil {
			t.Fatal(err)
		}
		if template != nil {
			var pod corev1.Pod
			if err := json.Unmarshal(template, &pod); err != nil {
				t.Fatal(err)
			}
			all.pods = append(all.pods, pod)
		}
		if one.Kind == "Service" {
			var service corev1.Service
			if err := json.Unmarshal(doc, &service); err != nil {
				t.Fatal(err)
			}
			all.services[service.Name] = service
		} else {
			one.selector = selector(t, doc, one.Spec.PodSelector)
		}
		all.objects = append(all.objects, one)
	}
	return all
}

// selector returns the podSelector of an object, or else its selector.
func selector(t *testing.T, doc json.RawMessage, pods *metav1.LabelSelector) labels.Selector {
	t.Helper()
	var object struct {
		Spec struct{ Selector *metav1.LabelSelector }
	}
	if err := json.Unmarshal(doc, &object); err != nil {
		t.Fatal(err)
	}
	if pods == nil {
		pods = object.Spec.Selector
	}
	found, err := metav1.LabelSelectorAsSelector(pods)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// selected returns the pods that somebody wants, and fails if there are none.
func (m made) selected(t *testing.T, name string, by labels.Selector) []corev1.Pod {
	t.Helper()
	var found []corev1.Pod
	for _, pod := range m.pods {
		if by.Matches(labels.Set(pod.Labels)) {
			found = append(found, pod)
		}
	}
	if len(found) == 0 {
		t.Errorf("%s: there are no pods with %s", name, by)
	}
	return found
}

// watched fails unless there are Services for a ServiceMonitor, with its ports.
func (m made) watched(t *testing.T, name string, monitor object) {
	t.Helper()
	for _, endpoint := range monitor.Spec.Endpoints {
		same := func(p corev1.ServicePort) bool { return p.Name == endpoint.Port }
		found := false
		for _, service := range m.services {
			found = found || monitor.selector.Matches(labels.Set(service.Labels)) && slices.ContainsFunc(service.Spec.Ports, same)
		}
		if !found {
			t.Errorf("%s: there is no Service with %s and port %s", name, monitor.selector, endpoint.Port)
		}
	}
}

func (m made) has(kind, name string) bool {
	return slices.ContainsFunc(m.objects, func(o object) bool { return o.Kind == kind && o.Metadata.Name == name })
}

func hasPort(ports []corev1.ContainerPort, name string) bool {
	return slices.ContainsFunc(ports, func(p corev1.ContainerPort) bool { return p.Name == name })
}
