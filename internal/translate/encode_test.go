package translate

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestEncodeResult: a result is written as encoding/json writes it, with and without each of its fields.
func TestEncodeResult(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 9, 30, 0, 120, time.UTC)
	full := events.Result{
		Operation: "createTask", Outcome: events.Applied, Status: 200, Attempts: 1, StartedAt: at, FinishedAt: &at,
		Resource: &events.Resource{Type: "task", ID: "<1>", URL: "https://x/\u2028"}, Response: json.RawMessage(`{"a":"<ä>"}`), Omitted: true, Adopted: true,
		Existing: true, RetryAt: &at, CommandDigest: "sha256:0", DryRun: true,
		Set: json.RawMessage(`{"title":"<ä>","endDate":null}`), SetOmitted: []string{"description", "<title>"}, Error: &events.Error{Code: "c", Message: "m", Detail: json.RawMessage("[]")},
	}
	same := func(r events.Result) {
		t.Helper()
		got, err := EncodeResult(r)
		want, wantErr := jsontext.Encode(r)
		if err != nil || wantErr != nil || string(got) != string(want) {
			t.Errorf("it is written as\n%s, %v, want\n%s, %v", got, err, want, wantErr)
		}
	}
	same(full)
	full.Error = nil
	same(full)
	v := reflect.ValueOf(&full).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Name != "Error" && v.Field(i).IsZero() {
			t.Errorf("the result of this test has no %s", v.Type().Field(i).Name)
		}
		only, without := events.Result{StartedAt: at}, full
		reflect.ValueOf(&only).Elem().Field(i).Set(v.Field(i))
		reflect.ValueOf(&without).Elem().Field(i).SetZero()
		same(only)
		same(without)
	}
	full.Response = json.RawMessage("{")
	if got, err := EncodeResult(full); err == nil {
		t.Errorf("half a response is written as %s", got)
	}
}
