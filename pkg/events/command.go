package events

import (
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/command"
)

// Command is a command as it arrived.
type Command struct {
	// Address is what the subject says: cloud, resource and operation.
	Address
	// Event holds the attributes and the data. It is a field of its own and not embedded, since it brings methods, such
	// as String and MarshalJSON, that know nothing of the rest of a command.
	Event event.Event
	// Plain says that the sender sent plain JSON and no CloudEvent. Then the event's source and type are made up.
	Plain bool
	// Position is the place of the message in its stream, "<stream>:<sequence>".
	Position string
	// ReplyTo is the subject that is to get a copy of the results, or "".
	ReplyTo string
	// Redrive is the sequence of the dead letter that an operator has sent once more, or "".
	Redrive string
}

// commandNames are what the contract calls the parts of a command's message.
var commandNames = command.Names{TypePrefix: CommandTypePrefix, ReplyTo: HeaderReplyTo, Redrive: HeaderRedrive}

// DecodeCommand reads a command: a CloudEvent in binary or structured mode, or a plain JSON object, as from "nats pub".
//
// A CloudEvent must have the type "com.factro.command.<operation>" with the operation of the subject. A plain object
// becomes an event of that type without a time; its id is the message id of JetStream, else position, which is a stable
// name of the message's place in its stream, "<stream>:<sequence>", so that a redelivery keeps its id; its source is
// "urn:nats:<subject>". The data of a command is a JSON object; no data at all counts as {}, for operations that need no
// input.
//
// A command that an operator sends once more comes on the subject that [Prefix.Redrive] builds. There it must have the header
// [HeaderRedrive], and on the subject of a command it must not have it, since every sender of commands may publish there.
//
// The error is a sentence for the sender, who gets all mistakes at once. It names headers, attributes and shapes,
// and quotes at most 80 bytes of a value, never the data. With an error too the command holds what is known of it, so
// that a result can be published: the address if the subject is one of a command, the reply subject, the attributes that
// could be read, and always an id, if need be that of a plain message.
func (p Prefix) DecodeCommand(subject string, header nats.Header, data []byte, position string) (Command, error) {
	var bad binding.Problems
	origin := subject
	address, addressErr := p.ParseCommand(subject)
	redriven := false
	if addressErr != nil {
		if again, err := p.ParseRedrive(subject); err == nil {
			address, addressErr, redriven = again, nil, true
			origin = p.Command(again.Cloud, again.Resource, again.Operation)
		}
	}
	if addressErr != nil {
		bad.Addf("%v", addressErr)
	}
	in := command.Incoming{
		Subject: origin, Operation: address.Operation, Again: redriven, Header: header, Data: data, Position: position,
	}
	d, err := commandNames.Decode(in, &bad)
	return Command{
		Address: address, Event: d.Event, Plain: d.Plain, Position: position, ReplyTo: d.ReplyTo, Redrive: d.Redrive,
	}, err
}

// Identity distinguishes a command from all other commands of its cloud, and is the same for every delivery of it. It is made of
// the source and the id; of a plain JSON command it is the id alone. It is not for people, and its form may change.
func (c Command) Identity() string {
	return identity.Command(c.Source(), c.Event.ID())
}

// Source is the source of the command if its sender gave one, and "" for a plain JSON command.
func (c Command) Source() string {
	if c.Plain || c.Event.Context == nil {
		return ""
	}
	return c.Event.Source()
}
