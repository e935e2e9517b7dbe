package events

import (
	"bytes"
	"encoding/json"
)

// Error says why a command was not carried out, or a query not answered.
type Error struct {
	// Code is one of the Code constants.
	Code string `json:"code"`
	// Message is a sentence for people.
	Message string `json:"message"`
	// Detail is a list of FieldError with at least one entry: of an invalid command or query all its mistakes, else one
	// with the reason. In an Error that was not read from a message it may be nil; then the reason is Message.
	Detail json.RawMessage `json:"detail"`
	// Answer is what factro answered, as JSON if it was JSON and as a string otherwise; nil if it was not asked or did not
	// answer, or with an empty body.
	Answer json.RawMessage `json:"answer,omitempty"`
	// Earlier is, of [CodeConflict], the result of the command that had the source and id before, without factro's answer; nil if it
	// has none yet.
	Earlier *Result `json:"earlier,omitempty"`
	// Status is the HTTP status that goes with it, factro's or the bridge's; 0 if nobody was asked. It is no part of the
	// data: a result and the answer of a query say it elsewhere.
	Status int `json:"-"`
}

// FieldError is one mistake in a command's data, or another reason that it was not carried out.
type FieldError struct {
	// Pointer is the JSON pointer of the value; of the object, if a property is missing; empty if the reason is not in the
	// data, or in all of it.
	Pointer string `json:"pointer"`
	// Message says what the value is and what would be right.
	Message string `json:"message"`
}

// Error implements the error interface.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// FieldErrors returns the mistakes of a command or query that is invalid or has unknown external keys, or nil if it is another error.
func (e *Error) FieldErrors() []FieldError {
	if e.Code != CodeInvalid && e.Code != CodeUnknownKey {
		return nil
	}
	return entries(e.Detail)
}

// MarshalJSON writes the error with its detail.
func (e *Error) MarshalJSON() ([]byte, error) {
	type plain Error // without this method
	whole := plain(*e.whole())
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // whoever encodes what this is in decides about that
	err := enc.Encode(whole)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// UnmarshalJSON reads the error. One of a contract before 3.0.0 may have factro's answer, or nothing, as its detail.
func (e *Error) UnmarshalJSON(data []byte) error {
	type plain Error
	var read plain
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	whole := Error(read)
	*e = *whole.whole()
	return nil
}

// whole is the error with a detail of the right form.
func (e *Error) whole() *Error {
	if len(entries(e.Detail)) > 0 {
		return e
	}
	out := *e
	if text := bytes.TrimSpace(e.Detail); len(e.Answer) == 0 && len(text) > 0 && string(text) != "null" {
		out.Answer = e.Detail
	}
	out.Detail, _ = json.Marshal([]FieldError{{Message: e.Message}}) // strings only
	return &out
}

// entries reads a detail. It returns nil if that is no list of FieldError.
func entries(detail json.RawMessage) []FieldError {
	var read []struct{ Pointer, Message *string }
	if json.Unmarshal(detail, &read) != nil {
		return nil
	}
	var out []FieldError
	for _, r := range read {
		if r.Pointer == nil || r.Message == nil {
			return nil
		}
		out = append(out, FieldError{*r.Pointer, *r.Message})
	}
	return out
}
