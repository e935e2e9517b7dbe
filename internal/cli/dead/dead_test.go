package dead

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func entryOf(operation, data string) deadletter.Entry {
	return deadletter.Entry{Message: journal.Message{Data: []byte(data), Broken: errors.New("plain")}, Kind: deadletter.Command, Address: events.Address{Operation: operation}}
}

func TestEdits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		operation, data string
		sets            []string
		want, mistake   string
	}{
		"nothing":          {"createTask", `{"title":"a"}`, nil, "", ""},
		"the same":         {"createTask", `{"title":"Prüfung", "x":1.0}`, []string{"title=Prüfung"}, "", ""},
		"a text":           {"createTask", `{"title":"a"}`, []string{"title=Prüfung"}, `{"title":"Prüfung"}`, ""},
		"a number":         {"createTask", `{}`, []string{"plannedEffort=2.5"}, `{"plannedEffort":2.5}`, ""},
		"null":             {"createTask", `{"title":"a"}`, []string{"executorId:=null"}, `{"executorId":null,"title":"a"}`, ""},
		"digits stay":      {"createTask", `{"n":12345678901234567890,"title":"a"}`, []string{"title=b"}, `{"n":12345678901234567890,"title":"b"}`, ""},
		"unknown field":    {"createTask", `{}`, []string{"titel=x"}, "", "no such field"},
		"unknown as JSON":  {"createTask", `{}`, []string{"neu:=[1]"}, `{"neu":[1]}`, ""},
		"no JSON":          {"createTask", `{}`, []string{"title:=x"}, "", "not JSON"},
		"no form":          {"createTask", `{}`, []string{"title"}, "", "field=value"},
		"inside":           {"", `{"context":{"entityId":"1","a":2}}`, []string{"context.entityId=ü"}, `{"context":{"a":2,"entityId":"ü"}}`, ""},
		"inside of a text": {"", `{"context":"x"}`, []string{"context.entityId=1"}, "", "not a JSON object"},
		"no object":        {"", `keine Daten`, []string{"action=x"}, "", "not a JSON object"},
		"empty":            {"", ``, []string{"action=x"}, `{"action":"x"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []byte
			edits, err := parseEdits(tt.sets)
			if err == nil {
				got, err = applyEdits(entryOf(tt.operation, tt.data), edits, fieldsOf(tt.operation))
			}
			if tt.mistake != "" {
				if err == nil || !strings.Contains(err.Error(), tt.mistake) {
					t.Errorf("error %v, want %q", err, tt.mistake)
				}
				return
			}
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestDeadFilters(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f := deadFlags{since: "2h", until: "2026-03-01T11:00:00Z", seq: "17-40"}
	if err := f.read(now); err != nil || !f.filter.Since.Equal(now.Add(-2*time.Hour)) || !f.filter.Until.Equal(now.Add(-time.Hour)) ||
		f.filter.First != 17 || f.filter.Last != 40 {
		t.Errorf("%+v, %v", f.filter, err)
	}
	for _, bad := range []deadFlags{
		{since: "gestern"}, {until: "x"}, {seq: "0"}, {seq: "9-3"}, {seq: "a"}, {filter: deadletter.Filter{Kind: "event"}}, {filter: deadletter.Filter{Limit: -1}}, {filter: deadletter.Filter{Code: "refusd"}},
	} {
		err := bad.read(now)
		if code, ok := errors.AsType[*exit.Error](err); !ok || code.Code != exit.WrongUsage {
			t.Errorf("%+v: %v, want a mistake of the command line", bad, err)
		}
	}
	if _, err := (&deadFlags{}).parseNames(nil); err == nil {
		t.Error("without names and filters all dead letters are selected")
	}
	if _, err := (&deadFlags{since: "1h"}).parseNames([]string{"1"}); err == nil {
		t.Error("names and filters are accepted together")
	}
}

// The name of a dead letter is its cloud and its sequence there.
func TestDeadLetterNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]deadName{
		"acme/17": {"acme", 17, ""}, "17": {"", 17, ""}, "order-17": {"", 0, "order-17"}, "a/b": {"", 0, "a/b"}, "acme/1/2": {"", 0, "acme/1/2"}, "acme": {"", 0, "acme"},
	} {
		if got, err := readDeadName(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "/17", "acme/0", "0"} {
		if got, err := readDeadName(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
	for _, tt := range []struct {
		name       deadName
		flag, want string
	}{{deadName{"acme", 1, ""}, "", "acme"}, {deadName{"acme", 1, ""}, "acme", "acme"}, {deadName{"", 1, ""}, "acme", "acme"}, {deadName{"acme", 1, ""}, "beta", ""}} {
		f := connect.Flags{Cloud: tt.flag}
		if got, err := cloudOf(t.Context(), &f, nil, tt.name); got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%+v with --cloud %q: %q, %v", tt.name, tt.flag, got, err)
		}
	}
}

// A dead letter is shown without credentials and without control characters.
func TestShowHidesCredentials(t *testing.T) {
	t.Parallel()
	l := entryOf("", "{\"authenticationHeaderValue\":\"geheim\",\"a\":\"\x7f\"}")
	l.Header = map[string][]string{"Authorization": {"geheim"}, "X-Api-Key": {"geheim"}, "ce-id": {"1\x1b[2J"}, "Factro-Dead-Code": {"refused"}}
	l.Reason, l.Code = "nein\x1b[2J", "a\u009b2J"
	for name, show := range map[string]func(*strings.Builder) error{
		"text": func(out *strings.Builder) error { return printDead(out, l) },
		"json": func(out *strings.Builder) error { return printDeadJSON(out, l, true) },
		"line": func(out *strings.Builder) error { return printLine(out, l) },
	} {
		var out strings.Builder
		if err := show(&out); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "geheim") || strings.Contains(out.String(), "\x1b") || strings.Contains(out.String(), "\u009b") {
			t.Errorf("%s prints %q", name, out.String())
		}
	}
}
