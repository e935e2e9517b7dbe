package events_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Whatever an error was made of, a message has its detail as a list with at least one entry, and factro's answer beside it.
func TestErrorAlwaysHasDetail(t *testing.T) {
	t.Parallel()
	const reason = `[{"pointer":"","message":"m <b>"}]`
	for name, tt := range map[string]struct{ detail, answer, wantDetail, wantAnswer string }{
		"nothing":                  {"", "", reason, ""},
		"mistakes":                 {`[{"pointer":"/a","message":"x"},{"pointer":"","message":"y"}]`, "", `[{"pointer":"/a","message":"x"},{"pointer":"","message":"y"}]`, ""},
		"both":                     {`[{"pointer":"/a","message":"x"}]`, `{"n":1.0}`, `[{"pointer":"/a","message":"x"}]`, `{"n":1.0}`},
		"an empty list":            {`[]`, "", reason, `[]`},
		"null":                     {`null`, "", reason, ""},
		"factro's JSON, as before": {`{"message":"Task is closed"}`, "", reason, `{"message":"Task is closed"}`},
		"factro's text, as before": {`"Task is closed"`, "", reason, `"Task is closed"`},
		"factro's list, as before": {`[{"message":"Task is closed"}]`, "", reason, `[{"message":"Task is closed"}]`},
		"of other types":           {`[{"pointer":1,"message":{}}]`, "", reason, `[{"pointer":1,"message":{}}]`},
	} {
		for _, code := range []string{
			events.CodeInvalid, events.CodeUnknownOperation, events.CodeExpired, events.CodeConflict, events.CodeRefused, events.CodeThrottled,
			events.CodeUnauthorized, events.CodeUnavailable, events.CodeExhausted, events.CodeAmbiguous, events.CodeUndeliverable,
		} {
			e := &events.Error{Code: code, Message: "m <b>", Detail: json.RawMessage(tt.detail), Answer: json.RawMessage(tt.answer)}
			text, err := json.Marshal(events.Result{Error: e})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var written struct {
				Error struct {
					Code, Message string
					Detail        []events.FieldError
					Answer        json.RawMessage
				}
			}
			if err := json.Unmarshal(text, &written); err != nil || written.Error.Code != code || written.Error.Message != "m <b>" ||
				!slices.Equal(written.Error.Detail, fieldErrors(t, tt.wantDetail)) || string(written.Error.Answer) != tt.wantAnswer {
				t.Errorf("%s: written as %s, %v", name, text, err)
			}
			// A result of an older bridge, read and told again, has the form of today, too.
			old, _ := json.Marshal(map[string]any{"code": code, "message": "m <b>", "detail": orNull(tt.detail)})
			var read events.Error
			if err := json.Unmarshal(old, &read); err != nil || tt.answer == "" && (!slices.Equal(fieldErrors(t, string(read.Detail)), fieldErrors(t, tt.wantDetail)) || string(read.Answer) != tt.wantAnswer) {
				t.Errorf("%s: %s is read as %+v, %v", name, old, read, err)
			}
			if got := read.FieldErrors(); (len(got) > 0) != (code == events.CodeInvalid) {
				t.Errorf("%s, %s: the mistakes are %v", name, code, got)
			}
		}
	}
	var broken events.Error
	if err := json.Unmarshal([]byte(`{"code":7}`), &broken); err == nil {
		t.Error("an error of another type is read")
	}
}

func orNull(text string) json.RawMessage {
	if text == "" {
		return json.RawMessage("null")
	}
	return json.RawMessage(text)
}

func fieldErrors(t *testing.T, text string) []events.FieldError {
	t.Helper()
	var out []events.FieldError
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out
}
