package echo_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/internal/mirror/echo"
)

// start is when the commands of tests begin. at is a time so many seconds later.
var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

// stamped is an object with a title, a description, and the time of its last change.
func stamped(title, description string, seconds float64) string {
	return fmt.Sprintf(`{"id":"t","title":%q,"description":%q,"companyId":null,"creationDate":"2026-03-01T08:00:00.000Z","changeDate":%q}`,
		title, description, at(seconds).Format("2006-01-02T15:04:05.000Z"))
}

func object(t testing.TB, text string) map[string]json.RawMessage {
	t.Helper()
	if text == "" {
		return nil
	}
	fields, err := jsontext.Object([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

// command is an update of the object t that takes half a second.
func command(t testing.TB, id, source string, seconds float64, set, answer string) echo.Command {
	t.Helper()
	return echo.Command{
		ID: id, Source: source, Operation: "updateTask", Resource: "task", EntityID: "t", Set: object(t, set), Answer: json.RawMessage(answer),
		StartedAt: at(seconds), FinishedAt: at(seconds + 0.5),
	}
}

func as(c echo.Command, action echo.Action, doubtful bool) echo.Command {
	c.Action, c.Doubtful = action, doubtful
	return c
}

// TestMark has the rules, each with what speaks against it.
func TestMark(t *testing.T) {
	t.Parallel()
	update := func(id, source string, seconds float64, set, answer string) echo.Command {
		return command(t, id, source, seconds, set, answer)
	}
	const title = `{"title":"b"}`
	for name, tt := range map[string]struct {
		commands      []echo.Command
		before, after string
		want          string // the id, the sender and the certainty, or nothing
	}{
		"no command": {nil, stamped("a", "", 0), stamped("b", "", 1.2), ""},
		"the answer of the command": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2))}, stamped("a", "", 0), stamped("b", "", 1.2), "c1 urn:a exact",
		},
		"a command without a source": {
			[]echo.Command{update("c1", "", 1, title, stamped("b", "", 1.2))}, stamped("a", "", 0), stamped("b", "", 1.2), "c1  exact",
		},
		"null and absent are the same": {
			[]echo.Command{update("c1", "urn:a", 1, title, `{"id":"t","title":"b","changeDate":"2026-03-01T08:00:01.2Z","companyId":null}`)},
			`{"id":"t","title":"a","changeDate":"2026-03-01T08:00:00Z"}`, `{"changeDate":"2026-03-01T08:00:01.200Z","title":"b","id":"t"}`, "c1 urn:a exact",
		},
		"written after it, the same value": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2))}, stamped("a", "", 0), stamped("b", "", 9), "",
		},
		"written soon after it, the same value": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2))}, stamped("a", "", 0), stamped("b", "", 1.3), "c1 urn:a likely",
		},
		"written after it, another value": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2))}, stamped("a", "", 0), stamped("c", "", 1.3), "",
		},
		"written after it, another field": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2))}, stamped("a", "", 0), stamped("b", "x", 1.3), "",
		},
		"written before it, another field": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "x", 1.2))}, stamped("a", "", 0), stamped("b", "x", 1.2), "",
		},
		"written before it, the same field": { // it is overwritten
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2))}, stamped("z", "", 0.9), stamped("b", "", 1.2), "c1 urn:a exact",
		},
		"an older state was read": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2))}, stamped("a", "", 1.5), stamped("b", "", 1.2), "",
		},
		"what it set is not known": {
			[]echo.Command{update("c1", "urn:a", 1, `{}`, stamped("b", "", 1.2))}, stamped("a", "", 0), stamped("b", "", 1.2), "",
		},
		"a value is not known, but the answer has it": {
			[]echo.Command{as(echo.Command{
				ID: "c1", Source: "urn:a", Resource: "task", EntityID: "t", Set: map[string]json.RawMessage{"title": nil},
				Answer: json.RawMessage(stamped("b", "", 1.2)), StartedAt: at(1), FinishedAt: at(2),
			}, echo.Updates, false)}, stamped("a", "", 0), stamped("b", "", 1.2), "c1 urn:a exact",
		},
		"no answer": {
			[]echo.Command{update("c1", "urn:a", 1, title, "")}, stamped("a", "", 0), stamped("b", "", 1.2), "c1 urn:a likely",
		},
		"no answer, another value": {
			[]echo.Command{update("c1", "urn:a", 1, title, "")}, stamped("a", "", 0), stamped("c", "", 1.2), "",
		},
		"no answer, another field too": {
			[]echo.Command{update("c1", "urn:a", 1, title, "")}, stamped("a", "", 0), stamped("b", "x", 1.2), "",
		},
		"no answer, changed later": {
			[]echo.Command{update("c1", "urn:a", 1, title, "")}, stamped("a", "", 0), stamped("b", "", 6), "",
		},
		"no answer, changed before": {
			[]echo.Command{update("c1", "urn:a", 5, title, "")}, stamped("a", "", 0), stamped("b", "", 1), "",
		},
		"no answer, in the state before": {
			[]echo.Command{update("c1", "urn:a", 1, title, "")}, stamped("a", "", 7), stamped("b", "", 8), "",
		},
		"began after the read": {
			[]echo.Command{update("c1", "urn:a", 20, title, "")}, stamped("a", "", 0), stamped("b", "", 20.1), "",
		},
		"no answer, and no time of change": {
			[]echo.Command{update("c1", "urn:a", 1, title, "")}, `{"title":"a"}`, `{"title":"b"}`, "c1 urn:a likely",
		},
		"no time of change": { // who writes the same again leaves no trace
			[]echo.Command{update("c1", "urn:a", 1, title, `{"title":"b"}`)}, `{"title":"a"}`, `{"title":"b"}`, "c1 urn:a likely",
		},
		"a time in another form": {
			[]echo.Command{update("c1", "urn:a", 1, `{"endDate":"2026-04-01T10:00:00+02:00"}`, "")},
			`{"endDate":null}`, `{"endDate":"2026-04-01T08:00:00.000Z"}`, "c1 urn:a likely",
		},
		"computed by factro": {
			[]echo.Command{as(echo.Command{
				ID: "c1", Source: "urn:a", Resource: "task", EntityID: "t", StartedAt: at(1), FinishedAt: at(2),
				Set: map[string]json.RawMessage{"parentPackageId": json.RawMessage(`"p"`), "projectId": nil},
			}, echo.Updates, false)}, `{"projectId":"x"}`, `{"projectId":"y","parentPackageId":"p"}`, "c1 urn:a likely",
		},
		"two of one sender": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2)), update("c2", "urn:a", 2, `{"description":"x"}`, stamped("b", "x", 2.2))},
			stamped("a", "", 0), stamped("b", "x", 2.2), "c2 urn:a likely",
		},
		"two of one sender, and the last sets all": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2)), update("c2", "urn:a", 2, `{"title":"c"}`, stamped("c", "", 2.2))},
			stamped("a", "", 0), stamped("c", "", 2.2), "c2 urn:a exact",
		},
		"two without a source": {
			[]echo.Command{update("c1", "", 1, title, stamped("b", "", 1.2)), update("c2", "", 2, `{"description":"x"}`, stamped("b", "x", 2.2))},
			stamped("a", "", 0), stamped("b", "x", 2.2), "",
		},
		"two of different senders": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2)), update("c2", "urn:b", 2, `{"description":"x"}`, stamped("b", "x", 2.2))},
			stamped("a", "", 0), stamped("b", "x", 2.2), "",
		},
		"two of different senders set the same": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2)), update("c2", "urn:b", 2, title, stamped("b", "", 2.2))},
			stamped("a", "", 0), stamped("b", "", 2.2), "",
		},
		"two of different senders, one is overwritten": {
			[]echo.Command{update("c1", "urn:a", 1, `{"title":"c"}`, stamped("c", "", 1.2)), update("c2", "urn:b", 2, title, stamped("b", "", 2.2))},
			stamped("a", "", 0), stamped("b", "", 2.2), "c2 urn:b exact",
		},
		"the value of another sender is not known": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2)), as(echo.Command{
				ID: "c2", Source: "urn:b", Resource: "task", EntityID: "t", Set: map[string]json.RawMessage{"title": nil}, StartedAt: at(1), FinishedAt: at(2),
			}, echo.Updates, false)}, stamped("a", "", 0), stamped("b", "", 1.2), "",
		},
		"created": {
			[]echo.Command{as(update("c1", "urn:a", 0, title, stamped("b", "", 0.2)), echo.Creates, false)}, "", stamped("b", "", 0.2), "c1 urn:a exact",
		},
		"created, and changed to the same": {
			[]echo.Command{as(update("c1", "urn:a", 0, title, stamped("b", "", 0.2)), echo.Creates, false)}, "", stamped("b", "", 9), "c1 urn:a likely",
		},
		"created, and changed": {
			[]echo.Command{as(update("c1", "urn:a", 0, title, stamped("b", "", 0.2)), echo.Creates, false)}, "", stamped("b", "x", 0.5), "",
		},
		"created, and changed by the same sender": {
			[]echo.Command{
				as(update("c1", "urn:a", 0, title, stamped("b", "", 0.2)), echo.Creates, false), update("c2", "urn:a", 1, `{"description":"x"}`, stamped("b", "x", 1.2)),
			}, "", stamped("b", "x", 1.2), "c2 urn:a likely",
		},
		"created, and changed by another sender": {
			[]echo.Command{
				as(update("c1", "urn:a", 0, title, stamped("b", "", 0.2)), echo.Creates, false), update("c2", "urn:b", 1, `{"description":"x"}`, stamped("b", "x", 1.2)),
			}, "", stamped("b", "x", 1.2), "",
		},
		"created without an answer": {
			[]echo.Command{as(update("c1", "urn:a", 0, title, ""), echo.Creates, false)}, "", stamped("b", "", 0.2), "",
		},
		"created, and found later": {
			[]echo.Command{as(update("c1", "urn:a", 0, title, stamped("b", "", 0.2)), echo.Creates, true)}, "", stamped("b", "", 0.2), "c1 urn:a likely",
		},
		"created, and found after a change": {
			[]echo.Command{as(update("c1", "urn:a", 0, title, stamped("b", "x", 5)), echo.Creates, true)}, "", stamped("b", "x", 5), "",
		},
		"created, and found with another title": {
			[]echo.Command{as(update("c1", "urn:a", 0, title, stamped("c", "", 0.2)), echo.Creates, true)}, "", stamped("c", "", 0.2), "",
		},
		"new to the mirror, and only changed by the command": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2))}, "", stamped("b", "", 1.2), "",
		},
		"deleted": {
			[]echo.Command{as(update("c1", "urn:a", 1, "", ""), echo.Deletes, false)}, stamped("a", "", 0), "", "c1 urn:a exact",
		},
		"deleted, and factro answered with the object": {
			[]echo.Command{as(update("c1", "urn:a", 1, "", stamped("a", "", 0)), echo.Deletes, false)}, stamped("a", "", 0), "", "c1 urn:a exact",
		},
		"deleted perhaps": {
			[]echo.Command{as(update("c1", "urn:a", 1, "", ""), echo.Deletes, true)}, stamped("a", "", 0), "", "c1 urn:a likely",
		},
		"deleted by one, and perhaps by another sender": {
			[]echo.Command{as(update("c1", "urn:a", 1, "", ""), echo.Deletes, true), as(update("c2", "urn:b", 1, "", ""), echo.Deletes, false)},
			stamped("a", "", 0), "", "c2 urn:b exact",
		},
		"deleted twice": {
			[]echo.Command{as(update("c1", "urn:a", 1, "", ""), echo.Deletes, false), as(update("c2", "urn:b", 1, "", ""), echo.Deletes, false)},
			stamped("a", "", 0), "", "",
		},
		"deleted by nobody of us": {
			[]echo.Command{update("c1", "urn:a", 1, title, stamped("b", "", 1.2))}, stamped("a", "", 0), "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := echo.New(echo.Limits{})
			for _, c := range tt.commands {
				r.Add(c)
				r.Add(c) // a result that is repeated changes nothing
			}
			before, after := object(t, tt.before), object(t, tt.after)
			for range 2 { // who cannot publish a change asks again
				if got := text(r.Mark("task", "t", before, after, differences(before, after), at(10))); got != tt.want {
					t.Errorf("the mark is %q, want %q", got, tt.want)
				}
			}
			if got := text(r.Mark("task", "other", before, after, differences(before, after), at(10))); got != "" {
				t.Errorf("the mark of another object is %q", got)
			}
		})
	}
}

func text(m echo.Mark, marked bool) string {
	if !marked {
		return ""
	}
	return fmt.Sprintf("%s %s %s", m.Cause, m.Sender, m.Certainty)
}

// TestOnce: a command makes one change. Who sets the same value again later is somebody else.
func TestOnce(t *testing.T) {
	t.Parallel()
	one, other := object(t, `{"title":"a"}`), object(t, `{"title":"b"}`)
	changed := []string{"title"}
	r := echo.New(echo.Limits{})
	r.Add(command(t, "c1", "urn:a", 1, `{"title":"b"}`, ""))
	for i, want := range []string{"c1 urn:a likely", "", ""} {
		before, after := one, other
		if i == 1 {
			before, after = other, one
		}
		if got := text(r.Mark("task", "t", before, after, changed, at(float64(2+i)))); got != want {
			t.Errorf("change %d has the mark %q, want %q", i+1, got, want)
		}
	}
	seen := echo.New(echo.Limits{})
	seen.Seen("task", "t", at(3)) // the state that was read has it, if it changed anything
	seen.Add(command(t, "c1", "urn:a", 1, `{"title":"b"}`, ""))
	if got := text(seen.Mark("task", "t", one, other, changed, at(4))); got != "" {
		t.Errorf("a command from before the last read is the mark: %s", got)
	}
}

// TestBounds: commands are forgotten by number and age.
func TestBounds(t *testing.T) {
	t.Parallel()
	before, after := object(t, `{"title":"a"}`), object(t, `{"title":"b"}`)
	for name, tt := range map[string]struct {
		others  int
		seconds float64
		want    bool
	}{"kept": {8, 100, true}, "too many": {10, 100, false}, "too old": {1, 602, false}} {
		r := echo.New(echo.Limits{Commands: 10, Age: 10 * time.Minute})
		r.Add(command(t, "c1", "urn:a", 1, `{"title":"b"}`, ""))
		for i := range tt.others {
			c := command(t, fmt.Sprint("o", i), "urn:a", tt.seconds, `{"title":"b"}`, "")
			c.EntityID = fmt.Sprint("o", i)
			r.Add(c)
			r.Seen("task", c.EntityID, at(tt.seconds))
		}
		if _, marked := r.Mark("task", "t", before, after, []string{"title"}, at(tt.seconds)); marked != tt.want {
			t.Errorf("%s: marked %t", name, marked)
		}
	}
}

// TestDropped: fields that the mirror does not keep are not compared.
func TestDropped(t *testing.T) {
	t.Parallel()
	whole := `{"id":"t","title":"b","emailAddress":"a@b","changeDate":"2026-03-01T08:00:01Z"}`
	kept := object(t, `{"id":"t","title":"b","changeDate":"2026-03-01T08:00:01Z"}`)
	before := object(t, `{"id":"t","title":"a","changeDate":"2026-03-01T08:00:00Z"}`)
	r := echo.New(echo.Limits{Drop: map[string][]string{"task": {"emailAddress"}}})
	r.Add(command(t, "c1", "urn:a", 1, `{"title":"b"}`, whole))
	if got := text(r.Mark("task", "t", before, kept, []string{"title"}, at(3))); got != "c1 urn:a exact" {
		t.Errorf("the mark is %q", got)
	}
}

// TestParallel: results come in while changes are marked.
func TestParallel(t *testing.T) {
	t.Parallel()
	before, after := object(t, stamped("a", "", 0)), object(t, stamped("b", "", 1.2))
	r := echo.New(echo.Limits{Commands: 20})
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 200 {
				id := fmt.Sprint(worker, "-", i)
				c := command(t, id, "urn:a", 1, `{"title":"b"}`, stamped("b", "", 1.2))
				c.EntityID = fmt.Sprint(i % 7)
				r.Add(c)
				r.Seen("task", c.EntityID, at(0.5))
				r.Mark("task", c.EntityID, before, after, []string{"title"}, at(3))
			}
		})
	}
	all.Wait()
}
