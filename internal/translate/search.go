package translate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// Search looks through the items of a list for what a create may have made.
type Search struct {
	how    factro.Search
	fields map[string]json.RawMessage
	since  time.Time
	dated  time.Time
	sent   time.Time
}

// NewSearch makes a search for what a command with this data may have made since a time of factro's clock. dated is the
// time of creation that the bridge has put into the call, or zero.
func NewSearch(how factro.Search, data []byte, since, dated time.Time) (*Search, error) {
	fields, err := object(data)
	if err != nil {
		return nil, err
	}
	s := &Search{how: how, fields: fields, since: since, dated: dated}
	if how.Sets != "" {
		if sent, ok := instantOf(fields[how.Sets]); ok && IsEventTime(sent) {
			s.sent = sent
		}
	}
	return s, nil
}

// Params are the parameters of the list, as far as the command has them.
func (s *Search) Params() map[string]json.RawMessage {
	params := map[string]json.RawMessage{}
	for _, p := range s.how.Params {
		for _, field := range p.Fields {
			raw := valueAt(s.fields, field)
			if raw == nil || isNull(raw) {
				continue
			}
			params[p.Name] = shifted(raw, p.Days)
			break
		}
	}
	return params
}

// shifted adds days to a plain day. Anything else stays as it is.
func shifted(raw json.RawMessage, days int) json.RawMessage {
	day, isText := text(string(raw))
	at, err := time.Parse(time.DateOnly, day)
	if days == 0 || !isText || err != nil {
		return raw
	}
	return json.RawMessage(strconv.Quote(at.AddDate(0, 0, days).Format(time.DateOnly)))
}

// Likeness says how an item of a list stands to what is looked for.
type Likeness int

// Other is another object. Doubtful may be the one or not: factro may have written a field in its own way, or does not
// tell when it made the object. Equal was made at the right time and has all that was sent; Exact is marked by the very
// time of creation that the bridge has sent.
const (
	Other Likeness = iota
	Doubtful
	Equal
	Exact
)

// Item is an object in a list.
type Item struct {
	Likeness Likeness
	ID       string
	// At is when it was created, zero if it does not tell.
	At time.Time
	// JSON is the object as it was listed.
	JSON json.RawMessage
}

// Judge compares an item of the list, and what is nested in it, and returns those that are not other objects.
func (s *Search) Judge(raw json.RawMessage) []Item {
	fields, err := object(raw)
	if err != nil {
		return []Item{{Likeness: Doubtful}} // a list of something else
	}
	var found []Item
	item := Item{JSON: raw}
	item.ID, _ = text(string(fields["id"]))
	if item.Likeness = s.judge(fields, &item.At); item.Likeness != Other {
		if item.ID == "" {
			item.Likeness = Doubtful
		}
		found = append(found, item)
	}
	var nested []json.RawMessage
	if s.how.Nested != "" && json.Unmarshal(fields[s.how.Nested], &nested) == nil {
		for _, n := range nested {
			found = append(found, s.Judge(n)...)
		}
	}
	return found
}

func (s *Search) judge(item map[string]json.RawMessage, created *time.Time) Likeness {
	timed := false
	if s.how.Created != "" {
		*created, timed = instantOf(item[s.how.Created])
		timed = timed && IsEventTime(*created)
	}
	marked := timed && !s.dated.IsZero() && created.Equal(s.dated)
	asSent := timed && !s.sent.IsZero() && created.Equal(s.sent)
	if timed && !marked && !asSent && created.Before(s.since) {
		return Other
	}
	if !s.agrees(item, s.how.Same) {
		return Other
	}
	switch {
	case marked:
		return Exact
	case !timed, asSent, !s.agrees(item, s.how.Like):
		// The time that the sender gave may be that of many.
		return Doubtful
	}
	return Equal
}

// agrees says whether an item holds what was sent. What was not sent, or is not known of the item, says nothing.
func (s *Search) agrees(item map[string]json.RawMessage, all []factro.Comparison) bool {
	for _, c := range all {
		sent := valueAt(s.fields, c.Field)
		if sent == nil {
			continue
		}
		known, agreed := false, false
		for _, name := range c.Items {
			if have, ok := item[name]; ok {
				known, agreed = true, agreed || alike(sent, have) || c.Field == "file.name" && sameName(texts(sent, have))
			}
		}
		if known && !agreed {
			return false
		}
	}
	return true
}

// valueAt is the value of a field, with dots to what is inside it; nil if it was not sent.
func valueAt(fields map[string]json.RawMessage, path string) json.RawMessage {
	name, rest, inside := strings.Cut(path, ".")
	raw := fields[name]
	if !inside || raw == nil {
		return raw
	}
	inner, err := object(raw)
	if err != nil {
		return nil
	}
	return valueAt(inner, rest)
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

func texts(a, b json.RawMessage) (string, string) {
	x, _ := text(string(a))
	y, _ := text(string(b))
	return x, y
}

func empty(raw json.RawMessage) bool {
	s, isText := text(string(raw))
	return isNull(raw) || isText && strings.TrimSpace(s) == ""
}

// instantOf reads a time: an instant, a plain day, or milliseconds, which are factro's three forms.
func instantOf(raw json.RawMessage) (time.Time, bool) {
	if s, isText := text(string(raw)); isText {
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if at, err := time.Parse(layout, s); err == nil {
				return at, true
			}
		}
		return time.Time{}, false
	}
	ms, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || ms <= 0 || ms > math.MaxInt64/1e6 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(ms)), true
}

// Dated puts a time of creation into the body of a call whose operation takes one, unless the sender has done so.
func Dated(op factro.Operation, call Call, at time.Time) (Call, error) {
	if op.Search == nil || op.Search.Sets == "" || op.Body != factro.BodyObject {
		return call, nil
	}
	fields, err := object(call.Body)
	if err != nil {
		return call, fmt.Errorf("date of creation: %w", err)
	}
	if _, sent := fields[op.Search.Sets]; sent {
		return call, nil
	}
	fields[op.Search.Sets] = json.RawMessage(strconv.Quote(at.UTC().Format("2006-01-02T15:04:05.000Z")))
	call.Body, err = encode(fields)
	return call, err
}

// MadeIDs are the ids of the objects in a create's answer.
func MadeIDs(op factro.Operation, answer []byte) []string {
	var items []json.RawMessage
	switch op.Answer {
	case factro.AnswerObject:
		items = []json.RawMessage{answer}
	case factro.AnswerList:
		_ = json.Unmarshal(answer, &items) // what is no list has made nothing that we can tell
	case factro.AnswerVoid:
	}
	var ids []string
	for _, item := range items {
		if fields, err := object(item); err == nil {
			if id, _ := text(string(fields["id"])); id != "" {
				ids = append(ids, id)
			}
		}
	}
	return ids
}
