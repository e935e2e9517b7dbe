package events_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/fresh"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

var getTask = payload.Generic{Name: "getTask", Resource: "task", Data: map[string]string{"taskId": "größe"}}

// answerer plays the bridge's side of queries: it answers each with what the script says.
func answerer(b *broker, script func(*nats.Msg) *nats.Msg) error {
	_, err := b.nc.Subscribe(prefix.Query("acme", "*", "*"), func(msg *nats.Msg) {
		_ = msg.RespondMsg(script(msg))
	})
	return errors.Join(err, b.nc.Flush()) // who asks may have another connection
}

func query(t *testing.T, b *broker, script func(*nats.Msg) *nats.Msg) (io.ReadCloser, error) {
	t.Helper()
	if err := answerer(b, script); err != nil {
		t.Fatal(err)
	}
	return events.NewClient(b.js, "acme").Query(t.Context(), getTask)
}

func TestQuery(t *testing.T) {
	t.Parallel()
	answer, err := query(t, startBroker(t), func(msg *nats.Msg) *nats.Msg {
		if msg.Subject != "factro.query.acme.task.getTask" || string(msg.Data) != `{"taskId":"größe"}` {
			t.Errorf("got %s on %s", msg.Data, msg.Subject)
		}
		return &nats.Msg{Data: []byte(` {"id": 12345678901234567890}`)}
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(answer)
	if err != nil || string(got) != ` {"id": 12345678901234567890}` || answer.Close() != nil {
		t.Errorf("got %s, %v", got, err)
	}
}

// TestQueryMaxAge: the bridge hears how old the answer may be, and the asker how old it is, if it is not factro's.
func TestQueryMaxAge(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	if err := answerer(b, func(msg *nats.Msg) *nats.Msg {
		answer := &nats.Msg{Header: nats.Header{}, Data: []byte(msg.Header.Get("Factro-Max-Age"))}
		switch msg.Header.Get("Factro-Max-Age") {
		case "30s":
			answer.Header["factro-age"] = []string{"1.250"}
		case "1m0s":
			answer.Header["Factro-Age"] = []string{"odd"}
		}
		return answer
	}); err != nil {
		t.Fatal(err)
	}
	for maxAge, want := range map[time.Duration]string{0: "", 30 * time.Second: "30s 1.25s", time.Minute: "1m0s", -time.Second: "-1s"} {
		var heard string
		answer, err := events.NewClient(b.js, "acme").Query(t.Context(), getTask, fresh.MaxAge(maxAge), fresh.OnAge(func(age time.Duration) { heard = " " + age.String() }))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(answer); err != nil || string(got)+heard != want {
			t.Errorf("%s: got %s%s, %v", maxAge, got, heard, err)
		}
	}
	if _, err := events.NewClient(b.js, "acme").Query(t.Context(), getTask, fresh.MaxAge(30*time.Second)); err != nil { // nobody wants to hear the age
		t.Error(err)
	}
}

func TestQueryRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		code, text, body string
		want             events.Error
		mistakes         int
	}{
		"by factro": {
			"404", "no such task", `{"code":"refused","message":"factro answered 404: no such task"}`,
			events.Error{Code: "refused", Message: "factro answered 404: no such task", Status: 404},
			0,
		},
		"mistakes": {
			"400", "invalid", `{"code":"invalid","message":"m","detail":[{"pointer":"/taskId","message":"is missing"}]}`,
			events.Error{Code: "invalid", Message: "m", Status: 400},
			1,
		},
		"without a body":    {"403", "no", "", events.Error{Code: "refused", Message: "no", Status: 403}, 0},
		"without anything":  {"503", "", "{}", events.Error{Code: "unavailable", Message: "no text", Status: 503}, 0},
		"without a status":  {"x", "no", "", events.Error{Code: "unavailable", Message: "no"}, 0},
		"an odd broad body": {"500", "odd", "<html>", events.Error{Code: "unavailable", Message: "odd", Status: 500}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := query(t, startBroker(t), func(*nats.Msg) *nats.Msg {
				return &nats.Msg{
					Header: nats.Header{events.HeaderErrorCode: {tt.code}, events.HeaderError: {tt.text}}, Data: []byte(tt.body),
				}
			})
			e, ok := errors.AsType[*events.Error](err)
			if !ok || e.Code != tt.want.Code || e.Message != tt.want.Message || e.Status != tt.want.Status || len(e.FieldErrors()) != tt.mistakes {
				t.Errorf("got %+v (%v), want %+v", e, err, tt.want)
			}
		})
	}
}

// TestAsk: what the answer is decodes, and what it is not is an error.
func TestAsk(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"id":"8d3f","title":"Prüfung","taskState":"wartend","startDate":null,"neu":1}`: "",
		" null\n":           payload.ErrNoAnswer.Error(),
		"":                  payload.ErrNoAnswer.Error(),
		`{"id":"8d3f"} {}`:  "more than one value",
		`{"title":1}`:       "answer of getTask: json",
		`[{"id":"8d3f"}]`:   "answer of getTask: json",
		`{"id":"8d3f","sta`: "answer of getTask: unexpected EOF",
	} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			b := startBroker(t)
			if err := answerer(b, func(msg *nats.Msg) *nats.Msg {
				if msg.Subject != "factro.query.acme.task.getTask" || string(msg.Data) != `{"taskId":"größe"}` {
					t.Errorf("got %s on %s", msg.Data, msg.Subject)
				}
				return &nats.Msg{Data: []byte(answer)}
			}); err != nil {
				t.Fatal(err)
			}
			task, err := events.Ask(t.Context(), events.NewClient(b.js, "acme"), payload.GetTask{TaskID: "größe"})
			switch {
			case want != "" && (!contains(err, want) || task.ID != ""):
				t.Errorf("got %+v, %v; want %s", task, err, want)
			case want == "" && (err != nil || task.Title != "Prüfung" || task.TaskState != "wartend"):
				t.Errorf("got %+v, %v", task, err)
			}
		})
	}
	b := startBroker(t)
	if _, err := events.Ask(t.Context(), events.NewClient(b.js, "acme"), payload.ListTasks{}); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("got %v", err)
	}
}

// TestQueryLarge: an answer that no message can hold is streamed from the object store, and checked.
func TestQueryLarge(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	store, err := b.js.CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: prefix.AnswerBucket("acme")})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 3<<20)
	if _, err := rand.Read(want); err != nil {
		t.Fatal(err)
	}
	if _, err := store.PutBytes(t.Context(), "größe 1", want); err != nil {
		t.Fatal(err)
	}
	refer := func(name string) func(*nats.Msg) *nats.Msg {
		return func(*nats.Msg) *nats.Msg {
			body, err := json.Marshal(map[string]any{"object": events.ObjectRef{Bucket: prefix.AnswerBucket("acme"), Name: name, Size: 3 << 20}})
			if err != nil {
				t.Error(err)
			}
			return &nats.Msg{Header: nats.Header{events.HeaderObject: {"FACTRO_ANSWERS_ACME/x"}}, Data: body}
		}
	}
	answer, err := query(t, b, refer("größe 1"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(answer)
	if err != nil || !bytes.Equal(got, want) || answer.Close() != nil {
		t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
	}
}

func TestQueryLargeGone(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"object":{"bucket":"FACTRO_ANSWERS_ACME","name":"gone"}}`: "object store FACTRO_ANSWERS_ACME of the answer: the stream is not there",
		`{"object":{"bucket":"FACTRO_ANSWERS_ACME"}}`:               "bucket or name is empty",
		`{`: "does not name it",
	} {
		_, err := query(t, startBroker(t), func(*nats.Msg) *nats.Msg {
			return &nats.Msg{Header: nats.Header{"factro-object": {"FACTRO_ANSWERS_ACME/gone"}}, Data: []byte(body)}
		})
		if !contains(err, want) {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func TestQueryNobody(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	c := events.NewClient(b.js, "acme")
	if _, err := c.Query(t.Context(), getTask); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Query(t.Context(), payload.Generic{Name: "a.b"}); !contains(err, "want names of") {
		t.Errorf("got %v", err)
	}
	if _, err := events.NewClient(b.js, "acme.x").Query(t.Context(), getTask); !contains(err, `cloud "acme.x" is not of the form`) {
		t.Errorf("got %v", err)
	}
	if err := answerer(b, func(*nats.Msg) *nats.Msg {
		<-t.Context().Done()
		return &nats.Msg{}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Query(ended(t), getTask); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
