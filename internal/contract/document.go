package contract

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// document collects the parts of the AsyncAPI document that depend on each other. A channel, its message and its
// operation have one name.
type document struct {
	prefix events.Prefix
	// resource is the one that the document is about, "" for all.
	resource string
	streams  []ordered.Inline // events, commands, results, dead letters, advisories, delayed commands, the bridge's own, changes

	channels, operations, messages ordered.Object
	// answers are the messages of the one channel that replies to queries go to, copies those of results that go to who
	// sent the command.
	answers, copies ordered.Object
}

// Names beside those of the schemas.
const (
	answerChannel   = "answer"
	copyChannel     = "copy"
	redriveName     = "redrive"
	deadCommandName = "dead.command"
	deadWebhookName = "dead.webhook"
)

// headed is how the message of an operation begins.
func headed(op factro.Operation, name string) ordered.Object {
	o := ordered.Object{{"name", name}, {"title", op.Name}, {"summary", op.Summary}}
	if op.Remarks != "" {
		o = append(o, ordered.Member{"description", op.Remarks})
	}
	return append(o, ordered.Member{"contentType", "application/json"})
}

func (d *document) message(name string, m ordered.Object) {
	d.messages = append(d.messages, ordered.Member{name, m})
}

func (d *document) result(name string, m ordered.Object) {
	d.message(name, m)
	d.copies = append(d.copies, ordered.Member{name, messageRef(name)})
}

func (d *document) answer(name string, m ordered.Object) {
	d.message(name, m)
	d.answers = append(d.answers, ordered.Member{name, messageRef(name)})
}

// channel adds a channel with the message of its name, and others if there are any.
func (d *document) channel(name, address, title string, stream ordered.Inline, parameters ordered.Object, also ...string) {
	messages := ordered.Object{{name, messageRef(name)}}
	for _, other := range also {
		messages = append(messages, ordered.Member{other, messageRef(other)})
	}
	c := ordered.Object{
		{"address", withParameters(address, parameters)},
		{"title", title},
		{"messages", messages},
		{"parameters", parameters},
	}
	if stream.Value != nil {
		c = append(c, ordered.Member{"x-jetstream", stream})
	}
	d.channels = append(d.channels, ordered.Member{name, c})
}

// withParameters puts braces around the tokens of a subject that are the names of parameters: the builders of names take
// no braces.
func withParameters(subject string, parameters ordered.Object) string {
	tokens := strings.Split(subject, ".")
	for i, token := range tokens {
		if i > 0 && slices.ContainsFunc(parameters, func(p ordered.Member) bool { return p.Key == token }) {
			tokens[i] = "{" + token + "}"
		}
	}
	return strings.Join(tokens, ".")
}

func (d *document) operation(name, action string, more ordered.Object, also ...string) {
	messages := ordered.List{}
	for _, message := range append([]string{name}, also...) {
		messages = append(messages, reference(channelRef(name)+"/messages/"+message))
	}
	d.operations = append(d.operations, ordered.Member{name, append(ordered.Object{
		{"action", action},
		{"channel", reference(channelRef(name))},
		{"messages", messages},
	}, more...)})
}

// example is the sample as an example of a message.
func (s sample) example(title string) ordered.Object {
	o := ordered.Object{{"name", title}}
	if len(s.headers) > 0 {
		headers := ordered.Object{}
		for _, name := range slices.Sorted(maps.Keys(s.headers)) {
			headers = append(headers, ordered.Member{name, s.headers[name]})
		}
		o = append(o, ordered.Member{"headers", headers})
	}
	if !json.Valid(s.payload) {
		return append(o, ordered.Member{"payload", string(s.payload)})
	}
	return append(o, ordered.Member{"payload", ordered.Inline{Value: s.payload}})
}

func payload(schema map[string]any) ordered.Object {
	delete(schema, "examples") // the message has them
	delete(schema, "description")
	return schemas.Ordered(schema, componentsPrefix)
}

func constantType(name string) ordered.Object {
	return ordered.Object{{"properties", ordered.Object{{"ce-type", ordered.Inline{Value: ordered.Object{{"const", name}}}}}}}
}

// parameters refers to those of the components.
func parameters(names ...string) ordered.Object {
	o := ordered.Object{}
	for _, name := range names {
		o = append(o, ordered.Member{name, reference("#/components/parameters/" + name)})
	}
	return o
}

func tag(op factro.Operation) ordered.List {
	return ordered.List{ordered.Inline{Value: ordered.Object{{"name", op.Resource}}}}
}

func trait(name string) ordered.List {
	return ordered.List{reference("#/components/messageTraits/" + name)}
}
func channelRef(name string) string         { return "#/channels/" + name }
func messageRef(name string) ordered.Inline { return reference("#/components/messages/" + name) }

// someCommand returns the operation of examples that are about no certain one.
func (d *document) someCommand() factro.Operation {
	op, _ := factro.Lookup("updateTask")
	if d.resource == "" || d.resource == op.Resource {
		return op
	}
	for _, op := range factro.Operations() {
		if op.Resource == d.resource && op.Writes() {
			return op
		}
	}
	return op
}
