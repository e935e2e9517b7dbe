package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// document collects the parts of the AsyncAPI document that depend on each other. A channel, its message and its
// operation have one name.
type document struct {
	prefix events.Prefix
	// resource is the one that the document is about, "" for all.
	resource string
	streams  []inline // events, commands, results, dead letters

	channels, operations, messages object
	// answers are the messages of the one channel that replies to queries go to, copies those of results that go to who
	// sent the command.
	answers, copies object
}

// Names beside those of the schemas.
const (
	answerChannel   = "answer"
	copyChannel     = "copy"
	redriveName     = "redrive"
	deadCommandName = "dead.command"
	deadWebhookName = "dead.webhook"
)

// fill makes all channels, in the order events, operations of the table, dead letters.
func (d *document) fill() error {
	if err := d.event(); err != nil {
		return err
	}
	if err := d.gaps(); err != nil {
		return err
	}
	for _, op := range factro.Operations() {
		if d.resource != "" && d.resource != op.Resource {
			continue
		}
		add := d.query
		if op.Writes() {
			add = d.command
		}
		if err := add(op); err != nil {
			return fmt.Errorf("%s: %w", op.Name, err)
		}
	}
	if err := d.afterCommands(); err != nil {
		return err
	}
	if d.resource == "" || d.resource == events.ResourceBridge {
		d.status()
	}
	d.afterQueries()
	return d.dead()
}

// afterCommands adds what belongs to no certain command, if there are any.
func (d *document) afterCommands() error {
	if len(d.copies) == 0 {
		return nil
	}
	if err := d.redrive(); err != nil {
		return err
	}
	if err := d.unknown(); err != nil {
		return err
	}
	if err := d.dryRun(); err != nil {
		return err
	}
	d.channels = append(d.channels, member{copyChannel, object{
		{"address", nil},
		{"title", "Copies of results"},
		{"description", "The subject that a command names in its header " + events.HeaderReplyTo + ". A copy is sent at most once; the stream has every result."},
		{"messages", d.copies},
	}})
	return nil
}

// afterQueries adds what belongs to no certain query, if there are any.
func (d *document) afterQueries() {
	if len(d.answers) == 0 {
		return
	}
	d.answer(queryErrorName, refusedQuery())
	d.answer(storedAnswerName, storedAnswer(d.prefix))
	d.channels = append(d.channels, member{answerChannel, object{
		{"address", nil},
		{"title", "Answers to queries"},
		{"description", "The reply subject of the request, which NATS makes."},
		{"messages", d.answers},
	}})
}

// about returns the token of the resource, and the parameters of a subject: without the resource if that is given.
func (d *document) about(names ...string) (token string, of object) {
	if d.resource == "" {
		return "resource", parameters(names...)
	}
	return d.resource, parameters(slices.DeleteFunc(names, func(name string) bool { return name == "resource" })...)
}

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

func (d *document) event() error {
	if d.resource == events.ResourceBridge {
		return nil
	}
	s, err := eventSample(d.prefix)
	if err != nil {
		return err
	}
	examples := object{{"examples", list{s.example("The smallest body that is proven")}}}
	if d.resource != "" && d.resource != exampleResource { // of no other, a body is proven
		examples = nil
	}
	d.message(eventName, append(object{
		{"name", events.EventTypePrefix + "<Action>"},
		{"title", "Event"},
		{"summary", "Something happened in factro: the body of one webhook."},
		{"payload", reference(componentsPrefix + "Event")},
		{"traits", trait("event")},
	}, examples...))
	resource, names := d.about("cloud", "resource", "id", "action")
	d.channel(eventName, d.prefix.Event("cloud", resource, "id", "action"), "Events out of factro", d.streams[0], names)
	d.operation(eventName, "send", object{{"summary", "Publish each webhook, before it is answered with 202."}})
	return nil
}

func (d *document) command(op factro.Operation) error {
	name, result := commandPrefix+op.Name, resultName+"."+op.Name
	asked, err := commandSample(d.prefix, op)
	if err != nil {
		return err
	}
	shown, err := resultSample(d.prefix, op)
	if err != nil {
		return err
	}
	d.message(name, append(headed(op, events.CommandTypePrefix+op.Name), object{
		{"headers", constantType(events.CommandTypePrefix + op.Name)},
		{"payload", payload(dataSchema(op))},
		{"traits", trait("command")},
		{"examples", list{asked.example("Command " + op.Name)}},
	}...))
	d.channel(name, d.prefix.Command("cloud", op.Resource, op.Name), "Commands "+op.Name, d.streams[1], parameters("cloud"))
	d.operation(name, "receive", object{
		{"summary", op.Summary},
		{"tags", tag(op)},
		{"x-confidence", op.Confidence},
		{"x-request", op.Method + " " + op.Path},
		{"reply", object{
			{"address", object{{"location", "$message.header#/" + events.HeaderReplyTo}}},
			{"channel", reference(channelRef(copyChannel))},
			{"messages", list{reference(channelRef(copyChannel) + "/messages/" + result), reference(channelRef(copyChannel) + "/messages/" + dryRunName)}},
		}},
	})

	d.result(result, object{
		{"name", events.ResultTypePrefix + "<outcome>"},
		{"title", "Result of " + op.Name},
		{"summary", "The outcome of a command " + op.Name + ". " + answerText(op)},
		{"payload", payload(resultOf(op))},
		{"traits", trait("result")},
		{"examples", list{shown.example("Result of " + op.Name)}},
	})
	d.channel(result, d.prefix.Result("cloud", op.Resource, op.Name, "outcome"), "Results of "+op.Name, d.streams[2],
		parameters("cloud", "outcome"), dryRunName)
	d.operation(result, "send", object{{"summary", "Report the outcome of a command " + op.Name + "."}, {"tags", tag(op)}}, dryRunName)
	return nil
}

// redrive describes the commands that an operator sends again.
func (d *document) redrive() error {
	again, err := redriveSample(d.prefix, d.someCommand())
	if err != nil {
		return err
	}
	d.message(redriveName, object{
		{"name", events.CommandTypePrefix + "<operation>"},
		{"title", "Dead command, sent once more"},
		{"summary", "A command that was given up, as it was, with the sequence of its dead letter. Only operators may publish it."},
		{"contentType", "application/json"},
		{"headers", object{
			{"required", list{events.HeaderRedrive}},
			{"properties", object{{events.HeaderRedrive, object{{"type", "string"}, {"pattern", "^[0-9]+$"}, {"description", "The sequence of the dead letter."}}}}},
		}},
		{"payload", object{{"type", "object"}, {"description", "The data of the command."}}},
		{"traits", trait("command")},
		{"examples", list{again.example("A dead letter that is sent once more")}},
	})
	resource, names := d.about("cloud", "resource", "operation")
	d.channel(redriveName, d.prefix.Redrive("cloud", resource, "operation"), "Dead commands that are sent once more", d.streams[1], names)
	d.operation(redriveName, "receive", object{{"summary", "Carry out a command once more that was given up; \"bridge dead redrive\" sends it."}})
	return nil
}

// unknown tells the results of commands whose operation is none: they have no schema of their own.
func (d *document) unknown() error {
	shown, err := unknownResultSample(d.prefix, d.someCommand().Resource)
	if err != nil {
		return err
	}
	d.result(resultName, object{
		{"name", events.ResultTypePrefix + "<outcome>"},
		{"title", "Result of an unknown operation"},
		{"summary", "That a command was rejected since its subject names no operation that writes."},
		{"payload", reference(componentsPrefix + "Result")},
		{"traits", trait("result")},
		{"examples", list{shown.example("Result of an unknown operation")}},
	})
	resource, names := d.about("cloud", "resource", "operation", "outcome")
	d.channel(resultName, d.prefix.Result("cloud", resource, "operation", "outcome"), "Results of unknown operations", d.streams[2], names)
	d.operation(resultName, "send", object{{"summary", "Tell that there is no such operation."}})
	return nil
}

// dryRun tells the results of dry runs, which are the same for all operations.
func (d *document) dryRun() error {
	shown, err := dryRunSample(d.prefix, d.someCommand())
	if err != nil {
		return err
	}
	d.result(dryRunName, object{
		{"name", events.ResultTypePrefix + "<outcome>"},
		{"title", "Result of a dry run"},
		{"summary", "What would have been called for a command with the attribute dryrun."},
		{"payload", payload(resultOfDryRun())},
		{"traits", trait("result")},
		{"examples", list{shown.example("Result of a dry run")}},
	})
	return nil
}

func (d *document) query(op factro.Operation) error {
	name, answer := queryPrefix+op.Name, answerPrefix+op.Name
	d.message(name, append(headed(op, "query."+op.Name), object{
		{"payload", payload(dataSchema(op))},
		{"examples", list{sample{payload: op.Example()}.example("Query " + op.Name)}},
	}...))
	d.channel(name, d.prefix.Query("cloud", op.Resource, op.Name), "Queries "+op.Name, inline{}, parameters("cloud"))
	good := object{
		{"name", answer},
		{"title", "Answer to " + op.Name},
		{"summary", answerText(op)},
		{"contentType", "application/json"},
		{"payload", payload(answerOf(op))},
	}
	if example := op.ExampleAnswer(); example != nil {
		good = append(good, member{"examples", list{sample{payload: example}.example("Answer to " + op.Name)}})
	}
	d.answer(answer, good)
	replies := list{}
	for _, m := range []string{answer, storedAnswerName, queryErrorName} {
		replies = append(replies, reference(channelRef(answerChannel)+"/messages/"+m))
	}
	d.operation(name, "receive", object{
		{"summary", op.Summary},
		{"tags", tag(op)},
		{"x-confidence", op.Confidence},
		{"x-request", op.Method + " " + op.Path},
		{"reply", object{{"channel", reference(channelRef(answerChannel))}, {"messages", replies}}},
		{"bindings", inline{object{{"nats", object{{"queue", queries.Queue}, {"bindingVersion", "0.1.0"}}}}}},
	})
	return nil
}

func (d *document) dead() error {
	command, err := deadCommandSample(d.prefix, d.someCommand())
	if err != nil {
		return err
	}
	resource, names := d.about("cloud", "resource", "operation")
	headers := object{}
	for _, h := range topology.DeadHeaders() {
		headers = append(headers, member{h.Name, object{{"type", "string"}, {"description", sentence(h.Meaning)}}})
	}
	for _, letter := range []struct {
		name, address, title, summary string
		parameters                    object
		example                       sample
	}{
		{
			deadCommandName, d.prefix.DeadCommand("cloud", resource, "operation"), "Dead commands", "A command that was given up, as it came, with its headers.",
			names, command,
		},
		{
			deadWebhookName, d.prefix.DeadWebhook("cloud"), "Dead webhooks", "The body of a webhook that could not become an event.",
			parameters("cloud"), deadWebhookSample(d.prefix),
		},
	} {
		if letter.name == deadCommandName && len(d.copies) == 0 || letter.name == deadWebhookName && d.resource != "" && d.resource != events.ResourceBridge {
			continue
		}
		d.message(letter.name, object{
			{"name", letter.name},
			{"title", letter.title},
			{"summary", letter.summary},
			{"contentType", "application/octet-stream"},
			{"headers", object{{"type", "object"}, {"required", list{topology.DeadHeaders()[0].Name}}, {"properties", headers}}},
			{"payload", object{{"description", "The original data, whatever it is."}}},
			{"examples", list{letter.example.example(letter.title)}},
		})
		d.channel(letter.name, letter.address, letter.title, d.streams[3], letter.parameters)
		d.operation(letter.name, "send", object{{"summary", letter.summary}})
	}
	return nil
}

// headed is how the message of an operation begins.
func headed(op factro.Operation, name string) object {
	o := object{{"name", name}, {"title", op.Name}, {"summary", op.Summary}}
	if op.Remarks != "" {
		o = append(o, member{"description", op.Remarks})
	}
	return append(o, member{"contentType", "application/json"})
}

func (d *document) message(name string, m object) { d.messages = append(d.messages, member{name, m}) }

func (d *document) result(name string, m object) {
	d.message(name, m)
	d.copies = append(d.copies, member{name, messageRef(name)})
}

func (d *document) answer(name string, m object) {
	d.message(name, m)
	d.answers = append(d.answers, member{name, messageRef(name)})
}

// channel adds a channel with the message of its name, and others if there are any.
func (d *document) channel(name, address, title string, stream inline, parameters object, also ...string) {
	messages := object{{name, messageRef(name)}}
	for _, other := range also {
		messages = append(messages, member{other, messageRef(other)})
	}
	c := object{
		{"address", withParameters(address, parameters)},
		{"title", title},
		{"messages", messages},
		{"parameters", parameters},
	}
	if stream.value != nil {
		c = append(c, member{"x-jetstream", stream})
	}
	d.channels = append(d.channels, member{name, c})
}

// withParameters puts braces around the tokens of a subject that are the names of parameters: the builders of names take
// no braces.
func withParameters(subject string, parameters object) string {
	tokens := strings.Split(subject, ".")
	for i, token := range tokens {
		if i > 0 && slices.ContainsFunc(parameters, func(p member) bool { return p.key == token }) {
			tokens[i] = "{" + token + "}"
		}
	}
	return strings.Join(tokens, ".")
}

func (d *document) operation(name, action string, more object, also ...string) {
	messages := list{}
	for _, message := range append([]string{name}, also...) {
		messages = append(messages, reference(channelRef(name)+"/messages/"+message))
	}
	d.operations = append(d.operations, member{name, append(object{
		{"action", action},
		{"channel", reference(channelRef(name))},
		{"messages", messages},
	}, more...)})
}

// example is the sample as an example of a message.
func (s sample) example(title string) object {
	o := object{{"name", title}}
	if len(s.headers) > 0 {
		headers := object{}
		for _, name := range slices.Sorted(maps.Keys(s.headers)) {
			headers = append(headers, member{name, s.headers[name]})
		}
		o = append(o, member{"headers", headers})
	}
	if !json.Valid(s.payload) {
		return append(o, member{"payload", string(s.payload)})
	}
	return append(o, member{"payload", inline{s.payload}})
}

func payload(schema map[string]any) object {
	delete(schema, "examples") // the message has them
	delete(schema, "description")
	return schemaOf(schema, componentsPrefix)
}

func constantType(name string) object {
	return object{{"properties", object{{"ce-type", inline{object{{"const", name}}}}}}}
}

// parameters refers to those of the components.
func parameters(names ...string) object {
	o := object{}
	for _, name := range names {
		o = append(o, member{name, reference("#/components/parameters/" + name)})
	}
	return o
}

func tag(op factro.Operation) list  { return list{inline{object{{"name", op.Resource}}}} }
func trait(name string) list        { return list{reference("#/components/messageTraits/" + name)} }
func channelRef(name string) string { return "#/channels/" + name }
func messageRef(name string) inline { return reference("#/components/messages/" + name) }
