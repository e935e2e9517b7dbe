package main

import (
	"encoding/json"
	"io"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// printError prints an error of the bridge's for machines: with --json standard output holds nothing but JSON, and says why
// there is no result. earlier is the result of the command that had the id before, if it is about that.
func printError(out io.Writer, id string, e *events.Error, earlier *events.Result) error {
	return json.NewEncoder(out).Encode(struct {
		ID      string         `json:"id,omitempty"` // of the command
		Status  int            `json:"status,omitempty"`
		Error   *events.Error  `json:"error"`
		Earlier *events.Result `json:"earlier,omitempty"`
	}{id, e.Status, e, earlier})
}
