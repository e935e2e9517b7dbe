package output

import (
	"encoding/json"
	"io"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// PrintError prints an error as JSON. With --json, standard output has nothing but JSON, and the error says why there is no result.
// earlier is the result of the earlier command with the same id, if there is one.
func PrintError(out io.Writer, id string, e *events.Error, earlier *events.Result) error {
	return json.NewEncoder(out).Encode(struct {
		ID      string         `json:"id,omitempty"` // of the command
		Status  int            `json:"status,omitempty"`
		Error   *events.Error  `json:"error"`
		Earlier *events.Result `json:"earlier,omitempty"`
	}{id, e.Status, e, earlier})
}

// PrintJSON prints a message for machines.
func PrintJSON(out io.Writer, m journal.Message) { PrintTitledJSON(out, m, "") }

// PrintTitledJSON prints a message for machines, with the title of its object if it is known.
func PrintTitledJSON(out io.Writer, m journal.Message, title string) {
	line := struct {
		Subject string            `json:"subject"`
		Time    *time.Time        `json:"time,omitempty"`
		Trace   string            `json:"trace,omitempty"`
		Title   string            `json:"title,omitempty"`
		Event   json.RawMessage   `json:"event,omitempty"`
		Dead    map[string]string `json:"dead,omitempty"` // why it is a dead letter
		Data    []byte            `json:"data,omitempty"` // in base64, if it is not an event
	}{Subject: m.Subject, Trace: m.TraceID(), Title: title, Dead: m.Dead()}
	if !m.Time.IsZero() {
		line.Time = &m.Time
	}
	// In the structured mode of our own codec, which writes JSON data as JSON for all parameters of the content type.
	if structured, err := events.ToStructuredMsg(m.Subject, m.Event); m.Broken == nil && err == nil {
		line.Event = json.RawMessage(structured.Data)
	} else {
		line.Data = m.Data
	}
	_ = json.NewEncoder(out).Encode(line) // a closed pipe ends the program anyway
}
