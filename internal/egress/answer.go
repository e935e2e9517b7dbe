package egress

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// errOpen stands for the answer when the breaker closed the way between the gate and the call.
var errOpen = errors.New("the breaker is open")

// refusal is the error of a result for a command that factro said no to.
func refusal(a answer) *events.Error {
	reason := &events.Error{Code: events.CodeRefused, Message: outcomeText(a), Answer: answered(a)}
	if text := factro.ErrorText(a.header, a.body); text != "" {
		reason.Detail = entry(text)
	}
	return reason
}

// entry is the detail of an error with one reason that is not in the data.
func entry(message string) json.RawMessage {
	out, _ := json.Marshal([]events.FieldError{{Message: message}}) // two strings
	return out
}

// mistaken is the error for data that cannot be translated into a call: every mistake, each with its place.
func mistaken(err error) *events.Error {
	reason := &events.Error{Code: events.CodeInvalid, Message: err.Error()}
	if invalid, ok := errors.AsType[*translate.InvalidError](err); ok {
		reason.Detail, _ = json.Marshal(invalid.Fields) // two strings each
	}
	return reason
}

// invalid is mistaken for what translate cannot know of.
func invalid(pointer, message string) *events.Error {
	return mistaken(&translate.InvalidError{Fields: []events.FieldError{{Pointer: pointer, Message: message}}})
}

func missing(ref *events.ObjectRef, err error) *events.Error {
	return invalid("/file/object", fmt.Sprintf("there is no object %.80q in the bucket %s (%s)", ref.Name, ref.Bucket, err))
}

func ambiguous(a answer) string {
	return fmt.Sprintf("factro may have carried this out or not (%s), and doing it again could do it twice", outcomeText(a))
}

// outcomeText is one line about an answer, for people.
func outcomeText(a answer) string {
	if a.err != nil {
		return "no answer: " + factro.Escape(a.err.Error())
	}
	if a.malformed != nil {
		return a.told()
	}
	text := factro.ErrorText(a.header, a.body)
	if text == "" {
		text = "no text"
	}
	return fmt.Sprintf("factro answered %d: %s", a.status, text)
}

// cause is one line about a failure for the log: what factro wrote may be about people, so of an answer it is the status only.
func cause(a answer) string {
	switch {
	case a.err != nil:
		return factro.Escape(a.err.Error())
	case a.malformed != nil:
		return fmt.Sprintf("factro answered %d with %s", a.status, a.malformed)
	}
	return fmt.Sprintf("factro answered %d", a.status)
}

// maxAnswered bounds what of an error's body goes into a result.
const maxAnswered = 4 << 10

// answered is an error's body for machines: JSON as it came, anything else as a string.
func answered(a answer) json.RawMessage {
	if len(a.body) == 0 {
		return nil
	}
	body := a.body
	if len(body) <= maxAnswered && json.Valid(body) {
		return body
	}
	out, err := json.Marshal(string(body[:min(len(body), maxAnswered)]))
	if err != nil {
		return nil
	}
	return out
}

func jsonOrNil(body []byte) json.RawMessage {
	if json.Valid(body) {
		return body
	}
	return nil
}
