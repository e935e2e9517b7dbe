package reference

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/contract"
	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// shellLines are an operation's example as one would type it: first for bridge, then for nats. The cloud is that of the
// demonstration, which is the default of bridge.
func shellLines(prefix events.Prefix, op factro.Operation) []string {
	verb, nats, subject := "query", "req", prefix.Query(contract.ExampleCloud, op.Resource, op.Name)
	if op.Writes() {
		verb, nats, subject = "send", "pub", prefix.Command(contract.ExampleCloud, op.Resource, op.Name)
	}
	example := op.Example()
	return []string{
		strings.Join(append([]string{"bridge", verb, op.Name}, arguments(op, example)...), " "),
		strings.Join([]string{"nats", nats, subject, quoted(string(example))}, " "),
	}
}

// arguments writes data as field=value, or as field:=json where the value is none that the field's type takes as text.
func arguments(op factro.Operation, data json.RawMessage) []string {
	var args []string
	for _, m := range members(data) {
		raw, _ := m.Value.(json.RawMessage)
		known := slices.ContainsFunc(op.Fields, func(f factro.Field) bool { return f.Name == m.Key })
		var text string
		switch isText := json.Unmarshal(raw, &text) == nil && raw[0] == '"'; {
		case isText && known:
			args = append(args, m.Key+"="+quoted(text))
		case raw[0] == '{' || raw[0] == '[' || string(raw) == "null" || !known:
			args = append(args, m.Key+":="+quoted(string(raw)))
		default:
			args = append(args, m.Key+"="+string(raw))
		}
	}
	return args
}

// members takes a JSON object apart and keeps its order.
func members(data json.RawMessage) ordered.Object {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		panic(err) // it is an example of the table
	}
	var o ordered.Object
	for dec.More() {
		key, err := dec.Token()
		var value json.RawMessage
		if err == nil {
			err = dec.Decode(&value)
		}
		name, ok := key.(string)
		if err != nil || !ok {
			panic(err)
		}
		o = append(o, ordered.Member{name, value})
	}
	return o
}

// quoted is a word for a shell, in single quotes unless it is plain.
func quoted(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.:/@+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// mebibytes is a size for people.
func mebibytes(n int64) string { return strconv.FormatInt(n>>20, 10) + " MiB" }

// words is a duration for people, in whole days or minutes.
func words(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return strings.TrimSuffix(strings.TrimPrefix(contract.Span(d), "P"), "D") + " days"
	}
	return strings.TrimSuffix(strings.TrimPrefix(contract.Span(d), "PT"), "M") + " minutes"
}
