package translate_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

var update = flag.Bool("update", false, "rewrite the golden files instead of comparing with them")

// at is when everything here happens.
var at = time.Date(2026, 1, 31, 9, 30, 0, 123456789, time.UTC)

// wantGolden compares an event, written as in structured mode, and its subject with a golden file.
func wantGolden(t testing.TB, file, subject string, e event.Event) {
	t.Helper()
	msg, err := events.ToStructuredMsg(subject, e)
	if err != nil {
		t.Fatalf("the event cannot be written: %v", err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	// Through a map, so that the file does not depend on the codec's order.
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(msg.Data, &fields); err != nil {
		t.Fatal(err)
	}
	if err := enc.Encode(map[string]any{"subject": subject, "event": fields}); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; to write it: go test -update", err)
	}
	if got := out.Bytes(); !bytes.Equal(got, want) {
		t.Errorf("%s\n got %s\nwant %s", filepath.Base(file), got, want)
	}
}
