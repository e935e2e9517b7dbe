package payload

import (
	"encoding/json"
	"fmt"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// File is an upload. Either Data or Object is given.
type File struct {
	// Name is the file's name, as factro shows it.
	Name string `json:"name"`
	// ContentType is the media type, such as application/pdf.
	ContentType string `json:"contentType,omitzero"`
	// Data is the content, which travels in the message as base64. A message holds 1 MiB unless the server says otherwise,
	// so this is for small files. An empty file is an empty slice that is not nil.
	Data []byte `json:"data,omitzero"`
	// Object says where in the broker's object store the content lies. Its bucket is [events.Prefix.FileBucket].
	Object *events.ObjectRef `json:"object,omitzero"`
}

// MarshalJSON refuses a file that has no content, or two.
func (f File) MarshalJSON() ([]byte, error) {
	if (f.Data != nil) == (f.Object != nil) {
		return nil, fmt.Errorf("file %s needs either data or an object", binding.Quote(f.Name))
	}
	type plain File
	return json.Marshal(plain(f))
}
