package translate

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/internal/translate/compare"
)

// Stored is a record of factro's stored payloads (documented: one public SDK), as the event that its webhook would have
// been, and the values that show whether that event exists already.
//
// The event is made as Webhook makes one, so a record and a delivery that carries the record's keys are the same event. Its
// data is the record, byte for byte except for the key webhook, which is left out with its value: it describes the
// registration and holds its secret. Blanks between the top-level keys are left out, too.
type Stored struct {
	Event
	// Digest identifies a record without an id: it covers its webhookId, action, createdAt and context. For a record with
	// an id it is zero, and the event has that id. Otherwise the event has no id yet: DerivedID makes it.
	Digest [16]byte
	// CreatedAt is when it happened, by factro's clock.
	CreatedAt time.Time
	// Callback is the URL of the record's webhook, empty if the record has none.
	Callback string
	Context  compare.Context
}

var errNoTime = errors.New("the record has no createdAt that is a time")

// StoredPayload translates one record. The time of its event is its createdAt. A record without one is an error, since it
// could not be compared.
func StoredPayload(raw []byte, r Receipt) (Stored, error) {
	data, webhook, err := withoutWebhook(raw)
	if err != nil {
		return Stored{}, err
	}
	derived := false
	newID := r.NewID
	r.NewID = func() string { derived = true; return newID() }
	e, err := Webhook(data, r)
	if err != nil {
		return Stored{}, err
	}
	body := gjson.ParseBytes(data)
	out := Stored{Event: e, CreatedAt: timeOf(body.Get("createdAt").Raw, time.Time{}), Context: compare.ContextOf(data)}
	if out.CreatedAt.IsZero() {
		return Stored{}, errNoTime
	}
	out.Callback = webhook.Get("callbackUri").Str
	if out.EntityID == "" {
		out.name(entityOf(body.Get("context"), out.Resource))
	}
	if derived {
		sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q",
			identifierOf(body.Get("webhookId").Raw), e.Action, out.CreatedAt.Format(time.RFC3339Nano), out.Context.Text))
		out.Digest = [16]byte(sum[:16])
	}
	return out, nil
}

// name gives the event the entity that its context names under a key other than entityId.
func (s *Stored) name(id string) {
	if id == "" || len(id) > maxEntity {
		return
	}
	s.EntityID = id
	s.SetSubject(s.Resource + "/" + id)
}

// entityOf finds the id of the object in a context without entityId, under the name of its resource: taskId for a task. The
// only known example has this form (inferred).
func entityOf(context gjson.Result, resource string) string {
	if resource == "" {
		return ""
	}
	name, id := entityParam(resource), ""
	context.ForEach(func(key, value gjson.Result) bool {
		if key.Str == name {
			id, _ = identifier(value.Raw)
		}
		return true
	})
	return id
}

// identifierOf is an id in the form for comparison: an id that is not valid text is compared as its raw JSON.
func identifierOf(raw string) string {
	if id, ok := jsontext.String(raw); ok || raw == "" || raw[0] != '"' {
		return id
	}
	return raw
}

// derivedSpace is the namespace of derived ids.
var derivedSpace = uuid.MustParse("6d3c5a8e-6f0b-5f57-9c0e-1b5a4f7f2d11")

// DerivedID is the id of a record that has none. It depends only on the digest and on the ordinal among the records with
// this digest, counted from 0. Such records are interchangeable, so their order does not matter.
func DerivedID(digest [16]byte, ordinal int) string {
	return uuid.NewSHA1(derivedSpace, fmt.Appendf(digest[:], " %d", ordinal)).String()
}

// withoutWebhook removes the key webhook from a record and returns its value and the rest.
func withoutWebhook(raw []byte) (rest []byte, webhook gjson.Result, err error) {
	root, err := rootOf(raw)
	if err != nil {
		return nil, gjson.Result{}, err
	}
	var out bytes.Buffer
	out.WriteByte('{')
	root.ForEach(func(key, value gjson.Result) bool {
		if key.Str == "webhook" {
			webhook = value
			return true
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		out.WriteString(key.Raw)
		out.WriteByte(':')
		out.WriteString(value.Raw)
		return true
	})
	out.WriteByte('}')
	return out.Bytes(), webhook, nil
}

// HasID reports whether the body of a webhook itself contains this id, so that it was not generated.
func HasID(body []byte, id string) bool {
	raw := gjson.ParseBytes(jsontext.WithoutMark(body)).Get("id").Raw
	return raw != "" && idOf(raw, func() string { return "" }) == id
}
