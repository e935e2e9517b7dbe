package coreapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/shape"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// errOpen stands for the answer when the breaker closed the way between the gate and the call.
var errOpen = errors.New("the breaker is open")

// Refusal is the error of a result for a command that factro said no to.
func (a Answer) Refusal() *events.Error {
	reason := &events.Error{Code: events.CodeRefused, Message: a.Text(), Answer: a.Quoted()}
	if text := factro.ErrorText(a.Header, a.Body); text != "" {
		reason.Detail = Detail(text)
	}
	return reason
}

// Detail is the detail of an error with one reason that is not in the data.
func Detail(message string) json.RawMessage {
	out, _ := json.Marshal([]events.FieldError{{Message: message}}) // two strings
	return out
}

// Mistaken is the error for data that cannot be translated into a call: every mistake, each with its place.
func Mistaken(err error) *events.Error {
	reason := &events.Error{Code: events.CodeInvalid, Message: err.Error()}
	if invalid, ok := errors.AsType[*translate.InvalidError](err); ok {
		reason.Detail, _ = json.Marshal(invalid.Fields) // two strings each
	}
	return reason
}

// UnknownKey is the error for a command or query that names objects by external keys that are not known.
func UnknownKey(fields []events.FieldError) *events.Error {
	reason := Mistaken(&translate.InvalidError{Fields: fields})
	reason.Code = events.CodeUnknownKey
	return reason
}

// Text is one line about an answer, for people.
func (a Answer) Text() string {
	if a.Err != nil {
		return "no answer: " + factro.Escape(a.Err.Error())
	}
	if a.Malformed != nil {
		return a.report()
	}
	text := factro.ErrorText(a.Header, a.Body)
	if text == "" {
		text = "no text"
	}
	return fmt.Sprintf("factro answered %d: %s", a.Status, text)
}

// cause is one line about a failure for the log: what factro wrote may be about people, so of an answer it is the status only.
func (a Answer) cause() string {
	switch {
	case a.Err != nil:
		return factro.Escape(a.Err.Error())
	case a.Malformed != nil:
		return fmt.Sprintf("factro answered %d with %s", a.Status, a.Malformed)
	}
	return fmt.Sprintf("factro answered %d", a.Status)
}

// maxAnswered bounds what of an error's body goes into a result.
const maxAnswered = 4 << 10

// Quoted is an error's body for machines: JSON as it came, anything else as a string.
func (a Answer) Quoted() json.RawMessage {
	if len(a.Body) == 0 {
		return nil
	}
	body := a.Body
	if len(body) <= maxAnswered && json.Valid(body) {
		return body
	}
	out, err := json.Marshal(string(body[:min(len(body), maxAnswered)]))
	if err != nil {
		return nil
	}
	return out
}

// report is what an answer said that is not in its form, for people.
func (a Answer) report() string {
	text := factro.ErrorText(a.Header, a.Body)
	if text == "" || errors.Is(a.Malformed, shape.ErrNoBody) {
		return fmt.Sprintf("factro answered %d with %s", a.Status, a.Malformed)
	}
	return fmt.Sprintf("factro answered %d with %s: %s", a.Status, a.Malformed, strings.TrimSpace(text))
}

// AskedFor is the time that an answer asks to be left alone for, or 0.
func (a Answer) AskedFor() time.Duration {
	if a.Header.Get("Retry-After") == "" {
		return 0
	}
	return factro.RetryAfter(a.Header, time.Now())
}

// Unasked tells that nothing was called: the breaker closed the way between the gate and the call.
func (a Answer) Unasked() bool { return errors.Is(a.Err, errOpen) }

// Silent tells that nothing came within the timeout.
func (a Answer) Silent() bool { return errors.Is(a.Err, errSilent) }

// Empty tells that the answer had no body although the operation promises one.
func (a Answer) Empty() bool { return errors.Is(a.Malformed, shape.ErrNoBody) }
