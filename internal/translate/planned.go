package translate

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Planned describes a call without the API key. size is that of the file, if it is in the object store.
func Planned(call Call, size int64) events.PlannedCall {
	path, query, _ := strings.Cut(call.Target, "?")
	c := events.PlannedCall{Method: call.Method, Path: path, Query: query, ContentType: call.ContentType, Body: jsonOrNil(call.Body)}
	if u := call.Upload; u != nil {
		c.ContentType = "multipart/form-data"
		c.File = &events.PlannedFile{Name: u.Name, ContentType: u.ContentType, Size: cmp.Or(u.Size, size), Object: u.Object}
	}
	return c
}

func jsonOrNil(body []byte) json.RawMessage {
	if json.Valid(body) {
		return body
	}
	return nil
}
