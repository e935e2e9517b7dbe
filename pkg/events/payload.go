package events

import (
	"encoding/json"
	"fmt"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/command"
)

// Payload is the data of a command or a query that knows its operation: one of the structs of the package
// payload, such as payload.CreateTask, payload.GetTask and payload.Generic. Its JSON is one object.
type Payload interface {
	// Operation names what is asked for. It is what the subject of a command or a query is made of.
	Operation() Operation
}

// Operation is the name of an operation of the Core API, such as createTask, and of the resource that it is about, such
// as task.
type Operation struct{ Name, Resource string }

// payloadData returns the JSON object of a payload.
func payloadData(p Payload) ([]byte, error) {
	op := p.Operation()
	for _, name := range []string{op.Name, op.Resource} {
		if Token(name) != name {
			return nil, fmt.Errorf("operation %s of %s: want names of [A-Za-z0-9_-]", binding.Quote(op.Name), binding.Quote(op.Resource))
		}
	}
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("data of %s: %w", op.Name, err)
	}
	if s := binding.Shape(data); s != "an object" {
		return nil, fmt.Errorf("data of %s is %s, want an object", op.Name, s)
	}
	return command.ByKeys(data), nil
}

// ObjectRef names an object in one of the broker's object stores.
type ObjectRef struct {
	Bucket string `json:"bucket"`
	Name   string `json:"name"`
	// Size is the number of bytes, where it is known.
	Size uint64 `json:"size,omitzero"`
}
