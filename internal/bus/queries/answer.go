package queries

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/fresh"
)

// message writes an answer as NATS services do: an error in their two headers and as the contract's JSON.
func (a Answer) message() *nats.Msg {
	m := &nats.Msg{Header: nats.Header{}, Data: a.Data}
	var body any
	switch {
	case a.Error != nil:
		m.Header[events.HeaderErrorCode] = []string{strconv.Itoa(a.Status)}
		m.Header[events.HeaderError] = []string{oneLine(a.Error.Message)}
		if a.RetryAfter > 0 {
			m.Header[HeaderRetryAfter] = []string{strconv.Itoa(int((a.RetryAfter + time.Second - 1) / time.Second))}
		}
		body = a.Error
	case a.Object != nil:
		m.Header[events.HeaderObject] = []string{a.Object.Bucket + "/" + a.Object.Name}
		body = map[string]any{"object": a.Object}
	default:
		if a.Age != nil {
			m.Header[fresh.HeaderAge] = []string{strconv.FormatFloat(a.Age.Seconds(), 'f', 3, 64)}
		}
		return m
	}
	text, err := json.Marshal(body)
	if err != nil { // a detail that is not JSON, which the type allows
		text = []byte("{}")
	}
	m.Data = text
	return m
}

// maxHeaderText bounds the text of an error in a header. The data has all of it.
const maxHeaderText = 512

// oneLine turns a message into a header's value. An empty one becomes a placeholder.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	switch {
	case s == "":
		return "no text"
	case len(s) > maxHeaderText:
		return strings.ToValidUTF8(s[:maxHeaderText], "") + "…"
	}
	return s
}
