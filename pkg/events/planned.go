package events

import (
	"encoding/json"
	"errors"
	"fmt"
)

// PlannedCall is the call of the Core API that a dry run would have made, without the API key.
type PlannedCall struct {
	Method string `json:"method"`
	// Path is what is appended to the Core API's base URL, Query what stands behind a question mark there, both escaped.
	Path  string `json:"path"`
	Query string `json:"query,omitempty"`
	// ContentType is the body's; without a body there is none.
	ContentType string `json:"contentType,omitempty"`
	// Body is the body, if it is JSON.
	Body json.RawMessage `json:"body,omitempty"`
	// File is what an upload would send, as the one part of a multipart body.
	File *PlannedFile `json:"file,omitempty"`
}

// PlannedFile is the file of a planned call.
type PlannedFile struct {
	Name        string `json:"name"`
	ContentType string `json:"contentType"`
	// Size is the number of bytes.
	Size int64 `json:"size"`
	// Object is where the file is, if the command does not hold it.
	Object *ObjectRef `json:"object,omitempty"`
}

// errNoDryRun says that a result has no planned call.
var errNoDryRun = errors.New("the result is none of a dry run that was applied")

// PlannedCall returns the call that a dry run would have made.
func (r Result) PlannedCall() (PlannedCall, error) {
	if !r.DryRun || r.Outcome != Applied || r.Response == nil {
		return PlannedCall{}, errNoDryRun
	}
	var c PlannedCall
	if err := json.Unmarshal(r.Response, &c); err != nil {
		return PlannedCall{}, fmt.Errorf("planned call: %w", err)
	}
	return c, nil
}
