package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Payload is the data of a command or a query that knows its operation: one of the generated structs, such as
// [CreateTask] and [GetTask], or [Generic]. Its JSON is one object.
type Payload interface {
	// Operation names what is asked for. It is what the subject of a command or a query is made of.
	Operation() Operation
}

// Operation is the name of an operation of the Core API, such as createTask, and of the resource that it is about, such
// as task.
type Operation struct{ Name, Resource string }

// Generic is a payload for any operation, also for those that have no struct here. "bridge contract operations" lists
// them with their resources and fields.
type Generic struct {
	// Name and Resource are those of the operation, such as getTask and task.
	Name, Resource string
	// Data becomes the JSON object of the operation's fields, path parameters among them: a map, a struct, or a
	// json.RawMessage. Nil stands for an operation without input.
	Data any
}

// Operation implements [Payload].
func (g Generic) Operation() Operation { return Operation{g.Name, g.Resource} }

// MarshalJSON writes the data alone.
func (g Generic) MarshalJSON() ([]byte, error) {
	if g.Data == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(g.Data)
}

// payloadData returns the JSON object of a payload.
func payloadData(p Payload) ([]byte, error) {
	op := p.Operation()
	for _, name := range []string{op.Name, op.Resource} {
		if Token(name) != name {
			return nil, fmt.Errorf("operation %s of %s: want names of [A-Za-z0-9_-]", quote(op.Name), quote(op.Resource))
		}
	}
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("data of %s: %w", op.Name, err)
	}
	if s := shape(data); s != "an object" {
		return nil, fmt.Errorf("data of %s is %s, want an object", op.Name, s)
	}
	return data, nil
}

// ErrNoAnswer says that there is no answer to decode: factro sent none, null or no JSON, or, in a result, one of more than
// 512 KiB, which the bridge leaves out.
var ErrNoAnswer = errors.New("there is no answer from factro")

// answer decodes the answer of a result, if it is one of that operation that was applied.
func answer[T any](r Result, operation string) (T, error) {
	var v T
	switch {
	case r.Operation != operation:
		return v, fmt.Errorf("the result is one of %s, want %s", quote(r.Operation), operation)
	case r.Outcome != Applied:
		return v, fmt.Errorf("%s was not applied but %s", operation, r.Outcome)
	case r.DryRun:
		return v, fmt.Errorf("answer of %s: a dry run calls nobody: %w", operation, ErrNoAnswer)
	case len(r.Response) == 0, string(bytes.TrimSpace(r.Response)) == "null":
		return v, fmt.Errorf("answer of %s: %w", operation, ErrNoAnswer)
	}
	if err := unmarshal(r.Response, &v); err != nil {
		var none T
		return none, fmt.Errorf("answer of %s: %w", operation, err)
	}
	return v, nil
}

// unmarshal is [json.Unmarshal], but a number of no type of its own keeps all its digits, as a [json.Number].
func unmarshal(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("json: there is more than one value")
	}
	return nil
}

// File is an upload. Either Data or Object is given.
type File struct {
	// Name is the file's name, as factro shows it.
	Name string `json:"name"`
	// ContentType is the media type, such as application/pdf.
	ContentType string `json:"contentType,omitzero"`
	// Data is the content, which travels in the message as base64. A message holds 1 MiB unless the server says otherwise,
	// so this is for small files. An empty file is an empty slice that is not nil.
	Data []byte `json:"data,omitzero"`
	// Object says where in the broker's object store the content lies. Its bucket is [Prefix.FileBucket].
	Object *ObjectRef `json:"object,omitzero"`
}

// MarshalJSON refuses a file that has no content, or two.
func (f File) MarshalJSON() ([]byte, error) {
	if (f.Data != nil) == (f.Object != nil) {
		return nil, fmt.Errorf("file %s needs either data or an object", quote(f.Name))
	}
	type plain File
	return json.Marshal(plain(f))
}

// ObjectRef names an object in one of the broker's object stores.
type ObjectRef struct {
	Bucket string `json:"bucket"`
	Name   string `json:"name"`
	// Size is the number of bytes, where it is told.
	Size uint64 `json:"size,omitzero"`
}
