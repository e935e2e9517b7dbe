package events

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// Address is what the subject of a command or a query says.
type Address struct{ Cloud, Resource, Operation string }

// EventAddress is what the subject of an event says. ID and Action are "_" where the true value can be no token; the
// event has it.
type EventAddress struct{ Cloud, Resource, ID, Action string }

// ResultAddress is what the subject of a result says.
type ResultAddress struct {
	Address
	Outcome Outcome
}

// ParseEvent reads the subject of an event, or says what is wrong with it.
func (p Prefix) ParseEvent(subject string) (EventAddress, error) {
	t := p.tokens(subject, "event", 4)
	if t == nil {
		return EventAddress{}, p.malformed(subject, ".event.<cloud>.<resource>.<id>.<Action>")
	}
	return EventAddress{Cloud: t[0], Resource: t[1], ID: t[2], Action: t[3]}, nil
}

// ParseCommand reads the subject of a command, or says what is wrong with it.
func (p Prefix) ParseCommand(subject string) (Address, error) {
	t := p.tokens(subject, "command", 3)
	if t == nil {
		return Address{}, p.malformed(subject, ".command.<cloud>.<resource>.<operation>")
	}
	return Address{Cloud: t[0], Resource: t[1], Operation: t[2]}, nil
}

// ParseRedrive reads the subject of a command that is sent once more, or says what is wrong with it.
func (p Prefix) ParseRedrive(subject string) (Address, error) {
	t := p.tokens(subject, "redrive", 3)
	if t == nil {
		return Address{}, p.malformed(subject, ".redrive.<cloud>.<resource>.<operation>")
	}
	return Address{Cloud: t[0], Resource: t[1], Operation: t[2]}, nil
}

// ParseQuery reads the subject of a query, or says what is wrong with it.
func (p Prefix) ParseQuery(subject string) (Address, error) {
	t := p.tokens(subject, "query", 3)
	if t == nil {
		return Address{}, p.malformed(subject, ".query.<cloud>.<resource>.<operation>")
	}
	return Address{Cloud: t[0], Resource: t[1], Operation: t[2]}, nil
}

// ParseResult reads the subject of a result, or says what is wrong with it. It does not ask whether the outcome is one
// that it knows.
func (p Prefix) ParseResult(subject string) (ResultAddress, error) {
	t := p.tokens(subject, "result", 4)
	if t == nil {
		return ResultAddress{}, p.malformed(subject, ".result.<cloud>.<resource>.<operation>.<outcome>")
	}
	return ResultAddress{Address{Cloud: t[0], Resource: t[1], Operation: t[2]}, Outcome(t[3])}, nil
}

// tokens returns the tokens of a subject behind prefix and kind, if there are n of them, none is empty and all are UTF-8, as
// attributes of CloudEvents are: NATS takes any bytes.
func (p Prefix) tokens(subject, kind string, n int) []string {
	rest, ok := strings.CutPrefix(subject, string(p)+"."+kind+".")
	t := strings.Split(rest, ".")
	if !ok || len(t) != n || slices.Contains(t, "") || !utf8.ValidString(subject) {
		return nil
	}
	return t
}

func (p Prefix) malformed(subject, form string) error {
	return fmt.Errorf("subject %s is not of the form %s", binding.Quote(subject), string(p)+form)
}
