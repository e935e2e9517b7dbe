package shape

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// TestCheckBody: what an answer with a status of success has to hold.
func TestCheckBody(t *testing.T) {
	t.Parallel()
	const task, quota = `{"id":"t-1","title":"T"}`, `{"totalUserCount":7}`
	for _, test := range []struct {
		operation, body string
		want            error // nil for a good one, any for another
	}{
		{"createTask", task, nil},
		{"createTask", `{"id":7}`, nil},
		{"createTask", `{"title":"T","nested":{"id":"x"}}`, errNoID},
		{"createTask", `{"id":""}`, errNoID},
		{"createTask", `{"id":null}`, errNoID},
		{"createTask", `{}`, errNoID},
		{"createTask", ``, ErrNoBody},
		{"createTask", " \n", ErrNoBody},
		{"createTask", `null`, ErrNoBody},
		{"createTask", `{"id":"req-1","error":"maintenance"}`, errFailure},
		{"createTask", `{"id":"t-1","error":null,"errors":[]}`, nil},
		{"createTask", `{"id":"t-1"`, errShort},
		{"createTask", `{"id":"t-1"} x`, ErrNotJSON},
		{"createTask", `{"id":"t-1"}{}`, ErrNotJSON},
		{"createTask", `[` + task + `]`, errAny},
		{"createTask", `"t-1"`, errAny},
		{"createTask", `"t-`, errShort},
		{"createTask", `<html>`, ErrNotJSON},
		{"createTask", `{"id":"t-1","x":` + strings.Repeat("[", maxDepth+2), errTooDeep},
		{"createTasks", `[` + task + `,{"message":"refused"},null]`, nil},
		{"createTasks", `[]`, errNoID},
		{"createTasks", `[{"message":"refused"}]`, errNoID},
		{"createProjects", `[{"id":"p-1"},{"message":"refused"}]`, errNoID},
		{"createProjects", `[{"id":"p-1"},{"id":"p-2"}]`, nil},
		{"updateTask", task, nil},
		{"updateTask", `{"isMilestone":false}`, nil},
		{"updateTask", ``, nil},
		{"updateTask", `null`, nil},
		{"updateTask", `{}`, errAny},
		{"updateTask", `{"message":"Service unavailable"}`, errAny},
		{"updateTask", `{"id":"t-1"`, errShort},
		{"deleteProject", ``, nil},
		{"updateTasks", `[]`, nil},
		{"updateTasks", `{}`, errAny},
		{"deleteTask", ``, nil},
		{"deleteTask", `deleted`, nil},
		{"deleteTask", `{}`, nil},
		{"deleteTask", task, nil},
		{"deleteTask", task[:9], errShort},
		{"deleteTask", ` <!DOCTYPE html>`, ErrPage},
		{"deleteTask", `{"error":"expired"}`, errFailure},
		{"deleteTask", `{"error":null}`, nil},
		{"getUserQuota", quota, nil},
		{"getUserQuota", `{"status":"ok"}`, errAny},
		{"getUserQuota", `{"totalUserCount":null}`, errAny},
		{"getUserQuota", ``, ErrNoBody},
		{"getTaskReadRights", `{"u-1":[]}`, nil},
		{"listTasks", `[]`, nil},
		{"listTasks", `[1,"x",{}]`, nil},
		{"listTasks", `{"items":[]}`, errAny},
		{"listTasks", ``, ErrNoBody},
		{"listTasks", `[1,`, errShort},
		{"listTasks", `[}`, ErrNotJSON},
	} {
		op, known := factro.Lookup(test.operation)
		if !known {
			t.Fatal(test.operation)
		}
		for name, read := range map[string]func() error{
			"whole": func() error { return Check(op, strings.NewReader(test.body)) },
			"held":  func() error { return CheckWhole(op, []byte(test.body)) },
			"stream": func() error {
				r := Checked(op, strings.NewReader(test.body))
				text, err := io.ReadAll(r)
				_ = r.Close()
				if err == nil && string(text) != test.body {
					t.Errorf("%s: %q came through as %q", test.operation, test.body, text)
				}
				return err
			},
		} {
			err := read()
			var wrong *Error
			if (err == nil) != (test.want == nil) || err != nil && !errors.As(err, &wrong) || test.want != nil && !errors.Is(test.want, errAny) && !errors.Is(err, test.want) {
				t.Errorf("%s, %s: %.60q: %v, want %v", test.operation, name, test.body, err, test.want)
			}
		}
	}
}

// errAny stands for any mistake.
var errAny = errors.New("any")

// TestListBounds: an item of a list is not held, however large it is.
func TestListBounds(t *testing.T) {
	t.Parallel()
	endless := strings.NewReader(`["` + strings.Repeat("x", 2*MaxRecord))
	if err := Records(endless, func([]byte) error { return nil }); !errors.Is(err, errRecordTooLarge) || endless.Len() < MaxRecord/2 {
		t.Errorf("%d bytes are left: %v", endless.Len(), err)
	}
}

// FuzzFits: whatever is taken for a good answer at the first look is one.
func FuzzFits(f *testing.F) {
	operations := []string{"createTask", "updateTask", "getUserQuota", "getTaskReadRights", "deleteTask", "listTasks", "createTasks"}
	for _, body := range []string{
		`{"id":"t-1","title":"T"}`, `{"id":7,"x":[{"y":null}]}`, `{"\u0069d":"t-1"}`, `{"id":"\ud800"}`, `{"id":"","id":"x"}`, "{\"id\":\"\xff\"}",
		`{"id":"t-1","\u0065rror":{"a":1}}`, `{"id":"t-1","error":[]}`, `{"totalUserCount":1e999}`, `{"totalUserCount":-0}`, ` {"id" : true} `, `{"id":"t"} {}`, `[{"id":"t"}]`, `null`,
	} {
		for i := range operations {
			f.Add(uint(i), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, i uint, body []byte) {
		op, _ := factro.Lookup(operations[i%uint(len(operations))])
		if fits(op, body) {
			if err := Check(op, bytes.NewReader(body)); err != nil {
				t.Errorf("%s: %q fits, but %v", op.Name, body, err)
			}
		}
	})
}

// TestFits: the first look accepts the usual answers, or it would be for nothing.
func TestFits(t *testing.T) {
	t.Parallel()
	for operation, want := range map[string]bool{"createTask": true, "updateTask": true, "getUserQuota": false, "listTasks": false} {
		if op, _ := factro.Lookup(operation); fits(op, []byte(`{"id":"t-1","title":"T"}`)) != want {
			t.Errorf("%s: want %t", operation, want)
		}
	}
}
