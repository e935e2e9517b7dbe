package upstream

import (
	"encoding/json"
	"fmt"
)

// PodTemplate returns the pod that an object is or makes, with its metadata and its spec, or nil if it makes none. In
// a CronJob it lies one level deeper.
func PodTemplate(doc []byte) (json.RawMessage, error) {
	var object struct {
		Kind string
		Spec struct {
			Template    json.RawMessage
			JobTemplate struct {
				Spec struct{ Template json.RawMessage }
			}
		}
	}
	// ExternalSecrets and others have a spec.template as well, of another shape: only the kinds below are looked at.
	var kind struct{ Kind string }
	if err := json.Unmarshal(doc, &kind); err != nil {
		return nil, fmt.Errorf("pod template: %w", err)
	}
	switch kind.Kind {
	case "Pod":
		return doc, nil
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob":
	default:
		return nil, nil //nolint:nilnil // no pod is no error
	}
	if err := json.Unmarshal(doc, &object); err != nil {
		return nil, fmt.Errorf("pod template of a %s: %w", kind.Kind, err)
	}
	if kind.Kind == "CronJob" {
		return object.Spec.JobTemplate.Spec.Template, nil
	}
	return object.Spec.Template, nil
}
