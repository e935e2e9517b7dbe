package bus

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// The facts are told in the words that JetStream itself has for them.
func TestStreamFactsAreJetStreamsWords(t *testing.T) {
	t.Parallel()
	word := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Trim(string(text), `"`)
	}
	facts := Streams("acme", "x")
	for i, c := range []streamSpec{
		eventStream("acme", "x"), commandStream("acme", "x"), resultStream("acme", "x"), deadStream("acme", "x"), advisoryStream("acme", "x"),
	} {
		f := facts[i]
		if f.Name != c.Name || f.Retention != word(c.Retention) || f.Discard != word(c.Discard) || f.Storage != word(c.Storage) {
			t.Errorf("%+v is told of a stream %s: %s, %s, %s", f, c.Name, word(c.Retention), word(c.Discard), word(c.Storage))
		}
		if f.MaxAge != c.MaxAge || f.MaxMessages != c.MaxMsgs || f.Duplicates != c.Duplicates || !slices.Equal(f.Subjects, c.Subjects) {
			t.Errorf("%+v is told of a stream %+v", f, c)
		}
	}
	if len(facts) != 5 || facts[1].Retention != "workqueue" || facts[1].MaxMessages == 0 {
		t.Errorf("the facts are %+v", facts)
	}
}

// All headers that a dead letter has of us are told, and no others.
func TestDeadHeadersAreTold(t *testing.T) {
	t.Parallel()
	letter := cut(letterOf("factro.dead.command.acme.task.createTask", "factro.command.acme.task.createTask", nats.Header{"Nats-Msg-Id": {"1"}}, nil))
	setDeadHeaders(letter.Header, "refused", ErrNoFile)
	setRequest(letter.Header, http.Header{"Content-Type": {"text/plain"}})
	for _, name := range []string{headerDeadPosition, headerDeadAttempts, headerDeadOriginal} { // of the delivery, and of the object store
		letter.Header[name] = []string{"1"}
	}
	parent := delivery.Header{"traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	Letter{Status: 400, Log: []Attempt{{Status: 400}}}.describe(propagator.Extract(t.Context(), parent), letter.Header)
	var told []string
	for _, h := range DeadHeaders() {
		told = append(told, h.Name)
		if h.Meaning == "" {
			t.Errorf("%s means nothing", h.Name)
		}
	}
	slices.Sort(told)
	if have := slices.Sorted(maps.Keys(letter.Header)); !slices.Equal(told, have) {
		t.Errorf("told are %v, a dead letter has %v", told, have)
	}
}
