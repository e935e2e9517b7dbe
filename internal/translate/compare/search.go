package compare

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// Search compares the items of a list with what a create may have made.
type Search struct {
	how    factro.Search
	fields map[string]json.RawMessage
	since  time.Time
	dated  time.Time
	sent   time.Time
}

// NewSearch makes a search for the object of a command with this data, created since a time of factro's clock. dated is the
// time of creation that the bridge has put into the call, or zero.
func NewSearch(how factro.Search, data []byte, since, dated time.Time) (*Search, error) {
	fields, err := jsontext.Object(data)
	if err != nil {
		return nil, err
	}
	s := &Search{how: how, fields: fields, since: since, dated: dated}
	if how.Sets != "" {
		if sent, ok := instantOf(fields[how.Sets]); ok && factro.IsEventTime(sent) {
			s.sent = sent
		}
	}
	return s, nil
}

// Params are the parameters of the list that the command provides.
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

// shifted adds days to a plain date. Anything else stays as it is.
func shifted(raw json.RawMessage, days int) json.RawMessage {
	day, isText := jsontext.String(string(raw))
	at, err := time.Parse(time.DateOnly, day)
	if days == 0 || !isText || err != nil {
		return raw
	}
	return json.RawMessage(strconv.Quote(at.AddDate(0, 0, days).Format(time.DateOnly)))
}

// Likeness is how an item of a list compares to the wanted object.
type Likeness int

// Other is a different object. Doubtful may be the same: factro may have changed a field's form, or does not report when it
// created the object. Equal was created at the right time and has all that was sent; Exact has exactly the time of creation
// that the bridge has sent.
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
	// At is when it was created, zero if that is not known.
	At time.Time
	// JSON is the object as it was listed.
	JSON json.RawMessage
}

// Judge compares an item of the list and the items nested in it, and returns those that are not Other.
func (s *Search) Judge(raw json.RawMessage) []Item {
	fields, err := jsontext.Object(raw)
	if err != nil {
		return []Item{{Likeness: Doubtful}} // a list of something else
	}
	var found []Item
	item := Item{JSON: raw}
	item.ID, _ = jsontext.String(string(fields["id"]))
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
		timed = timed && factro.IsEventTime(*created)
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
		// A time of creation that the sender chose may be the same for many objects.
		return Doubtful
	}
	return Equal
}

// agrees reports whether an item has what was sent. Fields that were not sent, or that the item lacks, are ignored.
func (s *Search) agrees(item map[string]json.RawMessage, all []factro.Comparison) bool {
	for _, c := range all {
		sent := valueAt(s.fields, c.Field)
		if sent == nil {
			continue
		}
		known, agreed := false, false
		for _, name := range c.Items {
			if have, ok := item[name]; ok {
				known, agreed = true, agreed || Alike(sent, have) || c.Field == "file.name" && sameName(texts(sent, have))
			}
		}
		if known && !agreed {
			return false
		}
	}
	return true
}

// valueAt is the value of a field, with dots for nested fields; nil if it was not sent.
func valueAt(fields map[string]json.RawMessage, path string) json.RawMessage {
	name, rest, inside := strings.Cut(path, ".")
	raw := fields[name]
	if !inside || raw == nil {
		return raw
	}
	inner, err := jsontext.Object(raw)
	if err != nil {
		return nil
	}
	return valueAt(inner, rest)
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

func texts(a, b json.RawMessage) (string, string) {
	x, _ := jsontext.String(string(a))
	y, _ := jsontext.String(string(b))
	return x, y
}

func empty(raw json.RawMessage) bool {
	s, isText := jsontext.String(string(raw))
	return isNull(raw) || isText && strings.TrimSpace(s) == ""
}
