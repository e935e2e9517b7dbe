package ledger

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// TestEncode: a record is written as encoding/json writes it, with and without each of its fields.
func TestEncode(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 9, 30, 0, 120, time.UTC)
	full := Record{
		Fingerprint: "f", Plain: true, Result: json.RawMessage(`{"a":[1.0,"x y"]}`), StartedAt: at, CalledAt: at.Add(1), Dated: at.Add(2), Owner: "o",
		Open: true, Attempts: 2, Log: []Attempt{{At: at}, {At: at, Status: 500, Error: "\"ä\"\n\xff", Millis: 1200, Trace: "t"}}, Made: []string{"1", "2"},
		Refs: map[string]string{"/a": "b"}, Redrive: "7", Decided: true, NotBefore: at.Add(3), Operation: "createTask",
	}
	v := reflect.ValueOf(&full).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		if v.Field(i).IsZero() {
			t.Errorf("the record of this test has no %s", f.Name)
		}
		only, without := Record{StartedAt: at}, full
		reflect.ValueOf(&only).Elem().Field(i).Set(v.Field(i))
		reflect.ValueOf(&without).Elem().Field(i).SetZero()
		wantEncoded(t, only)
		wantEncoded(t, without)
	}
	wantEncoded(t, full)
	full.Refs, full.Result = nil, json.RawMessage("{\n \"a\" : 1 }")
	wantEncoded(t, full)
	full.CalledAt = at.In(time.FixedZone("", 3600))
	wantEncoded(t, full)
	full.Result = json.RawMessage("{")
	if got, err := full.encode(); err == nil {
		t.Errorf("half a result is written as %s", got)
	}
}

func wantEncoded(t *testing.T, r Record) {
	t.Helper()
	got, err := r.encode()
	want, wantErr := json.Marshal(r)
	if err != nil || wantErr != nil || string(got) != string(want) {
		t.Errorf("it is written as\n%s, %v, want\n%s, %v", got, err, want, wantErr)
	}
}
