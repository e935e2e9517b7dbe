package contract

import (
	"fmt"
	"slices"

	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// fill makes all channels, in the order events, changes and states, operations of the table, dead letters.
func (d *document) fill() error {
	if err := d.event(); err != nil {
		return err
	}
	if err := d.mirror(); err != nil {
		return err
	}
	if err := d.gaps(); err != nil {
		return err
	}
	if err := d.notices(); err != nil {
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
		d.cancel()
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
	d.channels = append(d.channels, ordered.Member{copyChannel, ordered.Object{
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
	d.channels = append(d.channels, ordered.Member{answerChannel, ordered.Object{
		{"address", nil},
		{"title", "Answers to queries"},
		{"description", "The reply subject of the request, which NATS makes."},
		{"messages", d.answers},
	}})
}

// about returns the token of the resource, and the parameters of a subject: without the resource if that is given.
func (d *document) about(names ...string) (token string, of ordered.Object) {
	if d.resource == "" {
		return "resource", parameters(names...)
	}
	return d.resource, parameters(slices.DeleteFunc(names, func(name string) bool { return name == "resource" })...)
}

func (d *document) event() error {
	if d.resource == events.ResourceBridge {
		return nil
	}
	s, err := eventSample(d.prefix)
	if err != nil {
		return err
	}
	examples := ordered.Object{{"examples", ordered.List{s.example("The smallest body that is proven")}}}
	if d.resource != "" && d.resource != exampleResource { // of no other, a body is proven
		examples = nil
	}
	d.message(schemas.EventName, append(ordered.Object{
		{"name", events.EventTypePrefix + "<Action>"},
		{"title", "Event"},
		{"summary", "Something happened in factro: the body of one webhook."},
		{"payload", reference(componentsPrefix + "Event")},
		{"traits", trait("event")},
	}, examples...))
	resource, names := d.about("cloud", "resource", "id", "action")
	d.channel(schemas.EventName, d.prefix.Event("cloud", resource, "id", "action"), "Events out of factro", d.streams[0], names)
	d.operation(schemas.EventName, "send", ordered.Object{{"summary", "Publish each webhook, before it is answered with 202."}})
	return nil
}

func (d *document) command(op factro.Operation) error {
	name, result := schemas.CommandPrefix+op.Name, schemas.ResultName+"."+op.Name
	asked, err := commandSample(d.prefix, op)
	if err != nil {
		return err
	}
	shown, err := resultSample(d.prefix, op)
	if err != nil {
		return err
	}
	d.message(name, append(headed(op, events.CommandTypePrefix+op.Name), ordered.Object{
		{"headers", constantType(events.CommandTypePrefix + op.Name)},
		{"payload", payload(schemas.DataSchema(op))},
		{"traits", trait("command")},
		{"examples", ordered.List{asked.example("Command " + op.Name)}},
	}...))
	d.channel(name, d.prefix.Command("cloud", op.Resource, op.Name), "Commands "+op.Name, d.streams[1], parameters("cloud"))
	d.operation(name, "receive", ordered.Object{
		{"summary", op.Summary},
		{"tags", tag(op)},
		{"x-confidence", op.Confidence},
		{"x-request", op.Method + " " + op.Path},
		{"reply", ordered.Object{
			{"address", ordered.Object{{"location", "$message.header#/" + events.HeaderReplyTo}}},
			{"channel", reference(channelRef(copyChannel))},
			{"messages", ordered.List{reference(channelRef(copyChannel) + "/messages/" + result), reference(channelRef(copyChannel) + "/messages/" + schemas.DryRunName)}},
		}},
	})

	d.result(result, ordered.Object{
		{"name", events.ResultTypePrefix + "<outcome>"},
		{"title", "Result of " + op.Name},
		{"summary", "The outcome of a command " + op.Name + ". " + schemas.AnswerText(op)},
		{"payload", payload(schemas.ResultOf(op))},
		{"traits", trait("result")},
		{"examples", ordered.List{shown.example("Result of " + op.Name)}},
	})
	d.channel(result, d.prefix.Result("cloud", op.Resource, op.Name, "outcome"), "Results of "+op.Name, d.streams[2],
		parameters("cloud", "outcome"), schemas.DryRunName)
	d.operation(result, "send", ordered.Object{{"summary", "Report the outcome of a command " + op.Name + "."}, {"tags", tag(op)}}, schemas.DryRunName)
	return nil
}

// redrive describes the commands that an operator sends again.
func (d *document) redrive() error {
	again, err := redriveSample(d.prefix, d.someCommand())
	if err != nil {
		return err
	}
	d.message(redriveName, ordered.Object{
		{"name", events.CommandTypePrefix + "<operation>"},
		{"title", "Dead command, sent once more"},
		{"summary", "A command that was given up, as it was, with the sequence of its dead letter. Only operators may publish it."},
		{"contentType", "application/json"},
		{"headers", ordered.Object{
			{"required", ordered.List{events.HeaderRedrive}},
			{"properties", ordered.Object{{events.HeaderRedrive, ordered.Object{{"type", "string"}, {"pattern", "^[0-9]+$"}, {"description", "The sequence of the dead letter."}}}}},
		}},
		{"payload", ordered.Object{{"type", "object"}, {"description", "The data of the command."}}},
		{"traits", trait("command")},
		{"examples", ordered.List{again.example("A dead letter that is sent once more")}},
	})
	resource, names := d.about("cloud", "resource", "operation")
	d.channel(redriveName, d.prefix.Redrive("cloud", resource, "operation"), "Dead commands that are sent once more", d.streams[1], names)
	d.operation(redriveName, "receive", ordered.Object{{"summary", "Carry out a command once more that was given up; \"bridge dead redrive\" sends it."}})
	return nil
}

// unknown describes the results of commands whose operation does not exist: they have no schema of their own.
func (d *document) unknown() error {
	shown, err := unknownResultSample(d.prefix, d.someCommand().Resource)
	if err != nil {
		return err
	}
	d.result(schemas.ResultName, ordered.Object{
		{"name", events.ResultTypePrefix + "<outcome>"},
		{"title", "Result of an unknown operation"},
		{"summary", "That a command was rejected since its subject names no operation that writes."},
		{"payload", reference(componentsPrefix + "Result")},
		{"traits", trait("result")},
		{"examples", ordered.List{shown.example("Result of an unknown operation")}},
	})
	resource, names := d.about("cloud", "resource", "operation", "outcome")
	d.channel(schemas.ResultName, d.prefix.Result("cloud", resource, "operation", "outcome"), "Results of unknown operations", d.streams[2], names)
	d.operation(schemas.ResultName, "send", ordered.Object{{"summary", "Tell that there is no such operation."}})
	return nil
}

// dryRun describes the results of dry runs, which are the same for all operations.
func (d *document) dryRun() error {
	shown, err := dryRunSample(d.prefix, d.someCommand())
	if err != nil {
		return err
	}
	d.result(schemas.DryRunName, ordered.Object{
		{"name", events.ResultTypePrefix + "<outcome>"},
		{"title", "Result of a dry run"},
		{"summary", "What would have been called for a command with the attribute dryrun."},
		{"payload", payload(schemas.ResultOfDryRun())},
		{"traits", trait("result")},
		{"examples", ordered.List{shown.example("Result of a dry run")}},
	})
	return nil
}

func (d *document) query(op factro.Operation) error {
	name, answer := schemas.QueryPrefix+op.Name, schemas.AnswerPrefix+op.Name
	message := append(headed(op, "query."+op.Name), ordered.Object{
		{"payload", payload(schemas.DataSchema(op))},
		{"examples", ordered.List{sample{payload: op.Example()}.example("Query " + op.Name)}},
	}...)
	if readsMirrored(op) {
		message = append(message, ordered.Member{"headers", maxAgeHeaders()})
	}
	d.message(name, message)
	d.channel(name, d.prefix.Query("cloud", op.Resource, op.Name), "Queries "+op.Name, ordered.Inline{}, parameters("cloud"))
	good := ordered.Object{
		{"name", answer},
		{"title", "Answer to " + op.Name},
		{"summary", schemas.AnswerText(op)},
		{"contentType", "application/json"},
		{"payload", payload(schemas.AnswerOf(op))},
	}
	if example := op.ExampleAnswer(); example != nil {
		good = append(good, ordered.Member{"examples", ordered.List{sample{payload: example}.example("Answer to " + op.Name)}})
	}
	if readsMirrored(op) {
		good = append(good, ordered.Member{"headers", ageHeaders()})
	}
	d.answer(answer, good)
	replies := ordered.List{}
	for _, m := range []string{answer, storedAnswerName, queryErrorName} {
		replies = append(replies, reference(channelRef(answerChannel)+"/messages/"+m))
	}
	d.operation(name, "receive", ordered.Object{
		{"summary", op.Summary},
		{"tags", tag(op)},
		{"x-confidence", op.Confidence},
		{"x-request", op.Method + " " + op.Path},
		{"reply", ordered.Object{{"channel", reference(channelRef(answerChannel))}, {"messages", replies}}},
		{"bindings", ordered.Inline{Value: ordered.Object{{"nats", ordered.Object{{"queue", queries.Queue}, {"bindingVersion", "0.1.0"}}}}}},
	})
	return nil
}

func (d *document) dead() error {
	command, err := deadCommandSample(d.prefix, d.someCommand())
	if err != nil {
		return err
	}
	resource, names := d.about("cloud", "resource", "operation")
	headers := ordered.Object{}
	for _, h := range topology.DeadHeaders() {
		headers = append(headers, ordered.Member{h.Name, ordered.Object{{"type", "string"}, {"description", sentence(h.Meaning)}}})
	}
	for _, letter := range []struct {
		name, address, title, summary string
		parameters                    ordered.Object
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
		d.message(letter.name, ordered.Object{
			{"name", letter.name},
			{"title", letter.title},
			{"summary", letter.summary},
			{"contentType", "application/octet-stream"},
			{"headers", ordered.Object{{"type", "object"}, {"required", ordered.List{topology.DeadHeaders()[0].Name}}, {"properties", headers}}},
			{"payload", ordered.Object{{"description", "The original data, whatever it is."}}},
			{"examples", ordered.List{letter.example.example(letter.title)}},
		})
		d.channel(letter.name, letter.address, letter.title, d.streams[3], letter.parameters)
		d.operation(letter.name, "send", ordered.Object{{"summary", letter.summary}})
	}
	return nil
}
