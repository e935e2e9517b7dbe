package events

import (
	"fmt"
	"strings"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/subject"
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
	t, err := tokens(p, subject, ".event.", "<cloud>", "<resource>", "<id>", "<Action>")
	if err != nil {
		return EventAddress{}, err
	}
	return EventAddress{Cloud: t[0], Resource: t[1], ID: t[2], Action: t[3]}, nil
}

// ParseCommand reads the subject of a command, or says what is wrong with it.
func (p Prefix) ParseCommand(subject string) (Address, error) {
	return address(p, subject, ".command.")
}

// ParseRedrive reads the subject of a command that is sent once more, or says what is wrong with it.
func (p Prefix) ParseRedrive(subject string) (Address, error) {
	return address(p, subject, ".redrive.")
}

// ParseQuery reads the subject of a query, or says what is wrong with it.
func (p Prefix) ParseQuery(subject string) (Address, error) { return address(p, subject, ".query.") }

// ParseResult reads the subject of a result, or says what is wrong with it. It does not ask whether the outcome is one
// that it knows.
func (p Prefix) ParseResult(subject string) (ResultAddress, error) {
	t, err := tokens(p, subject, ".result.", "<cloud>", "<resource>", "<operation>", "<outcome>")
	if err != nil {
		return ResultAddress{}, err
	}
	return ResultAddress{Address{Cloud: t[0], Resource: t[1], Operation: t[2]}, Outcome(t[3])}, nil
}

func address(p Prefix, subject, kind string) (Address, error) {
	t, err := tokens(p, subject, kind, "<cloud>", "<resource>", "<operation>")
	if err != nil {
		return Address{}, err
	}
	return Address{Cloud: t[0], Resource: t[1], Operation: t[2]}, nil
}

// tokens returns the tokens of a subject behind prefix and kind, as many as there are names for.
func tokens(p Prefix, s, kind string, names ...string) ([]string, error) {
	t := subject.Split(s, string(p)+kind, len(names))
	if t == nil {
		return nil, fmt.Errorf("subject %s is not of the form %s", binding.Quote(s), string(p)+kind+strings.Join(names, "."))
	}
	return t, nil
}
