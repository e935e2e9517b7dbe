package ledger

import (
	"encoding/json"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// recordSize is about the size of a record without its result.
const recordSize = 512

// encode writes a record, without reflection if it has no references.
func (r Record) encode() ([]byte, error) {
	if len(r.Refs) > 0 {
		return json.Marshal(r)
	}
	var w jsontext.Writer
	w.Begin(recordSize + len(r.Result))
	w.Text("fingerprint", r.Fingerprint)
	w.True("plain", r.Plain)
	w.JSONIf("result", r.Result)
	w.Time("startedAt", r.StartedAt)
	w.TimeIf("calledAt", r.CalledAt)
	w.TimeIf("dated", r.Dated)
	w.TextIf("owner", r.Owner)
	w.True("open", r.Open)
	w.IntIf("attempts", r.Attempts)
	if len(r.Log) > 0 {
		w.OpenList("log")
		for _, a := range r.Log {
			a.write(&w)
		}
		w.EndList()
	}
	if len(r.Made) > 0 {
		w.OpenList("made")
		for _, id := range r.Made {
			w.Text("", id)
		}
		w.EndList()
	}
	w.TextIf("redrive", r.Redrive)
	w.True("decided", r.Decided)
	w.TimeIf("notBefore", r.NotBefore)
	w.TextIf("operation", r.Operation)
	if value, ok := w.Bytes(); ok {
		return value, nil
	}
	return json.Marshal(r)
}

func (a Attempt) write(w *jsontext.Writer) {
	w.Open("")
	w.Time("at", a.At)
	w.IntIf("status", a.Status)
	w.TextIf("error", a.Error)
	w.IntIf("ms", a.Millis)
	w.TextIf("trace", a.Trace)
	w.End()
}
