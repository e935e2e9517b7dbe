package events

import (
	"strings"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/subject"
)

// DefaultPrefix stands at the front of all subjects unless the bridge is configured otherwise.
const DefaultPrefix = "factro"

// Prefix is the first token of all subjects of one bridge, such as "factro". Its methods build the names of the
// contract. They do not check their arguments: cloud, resource and operation are names that the configuration or the
// table of operations has proven; ids and actions, which come from outside, go through Token.
//
// The methods whose names end in Filter build what one subscribes to: each of their arguments is a name or [Any].
type Prefix string

// Any stands in a filter for whatever there is in its place.
const Any = "*"

// Event is the subject of an event: factro.event.<cloud>.<resource>.<id>.<Action>.
func (p Prefix) Event(cloud, resource, id, action string) string {
	return string(p) + ".event." + cloud + "." + Token(resource) + "." + Token(id) + "." + Token(action)
}

// Command is the subject of a command: factro.command.<cloud>.<resource>.<operation>.
func (p Prefix) Command(cloud, resource, operation string) string {
	return string(p) + ".command." + cloud + "." + resource + "." + operation
}

// Redrive is the subject of a dead command that an operator sends once more: factro.redrive.<cloud>.<resource>.<operation>.
// Programs that send commands need no right to publish there.
func (p Prefix) Redrive(cloud, resource, operation string) string {
	return string(p) + ".redrive." + cloud + "." + resource + "." + operation
}

// Result is the subject of a result: factro.result.<cloud>.<resource>.<operation>.<outcome>.
func (p Prefix) Result(cloud, resource, operation string, outcome Outcome) string {
	return string(p) + ".result." + cloud + "." + Token(resource) + "." + Token(operation) + "." + string(outcome)
}

// Query is the subject of a query: factro.query.<cloud>.<resource>.<operation>.
func (p Prefix) Query(cloud, resource, operation string) string {
	return string(p) + ".query." + cloud + "." + resource + "." + operation
}

// Status is the subject on which the bridge is asked why the commands of a cloud wait: factro.query.<cloud>.status. No query
// has a subject like it.
func (p Prefix) Status(cloud string) string { return string(p) + ".query." + cloud + ".status" }

// Cancel is the subject on which the bridge is asked to cancel a delayed command: factro.cancel.<cloud>.
func (p Prefix) Cancel(cloud string) string { return string(p) + ".cancel." + cloud }

// Notice is the subject of what the bridge reports of itself about a cloud: factro.bridge.<cloud>.<what>, where what is one of
// the constants of the package notice, such as paused.
func (p Prefix) Notice(cloud, what string) string { return string(p) + ".bridge." + cloud + "." + what }

// NoticeFilter matches what the bridge reports of itself: NoticeFilter("acme", Any) is factro.bridge.acme.*.
func (p Prefix) NoticeFilter(cloud, what string) string {
	return string(p) + ".bridge." + wild(cloud) + "." + wild(what)
}

// EventFilter matches events: EventFilter("acme", "task", Any, "TaskStateChanged") is
// factro.event.acme.task.*.TaskStateChanged. An id or an action that can be no token matches those of all events with such
// an id or action, so check the event's own, too.
func (p Prefix) EventFilter(cloud, resource, id, action string) string {
	return string(p) + ".event." + wild(cloud) + "." + wild(resource) + "." + wild(id) + "." + wild(action)
}

// ResultFilter matches results: ResultFilter("acme", "task", Any, Rejected) is factro.result.acme.task.*.rejected.
func (p Prefix) ResultFilter(cloud, resource, operation string, outcome Outcome) string {
	return string(p) + ".result." + wild(cloud) + "." + wild(resource) + "." + wild(operation) + "." + wild(string(outcome))
}

// DeadCommandFilter matches commands that were given up: DeadCommandFilter("acme", Any, Any) is
// factro.dead.command.acme.*.*.
func (p Prefix) DeadCommandFilter(cloud, resource, operation string) string {
	return string(p) + ".dead.command." + wild(cloud) + "." + wild(resource) + "." + wild(operation)
}

func wild(name string) string {
	if name == Any {
		return name
	}
	return Token(name)
}

// DeadCommand is the subject of a command that was given up: factro.dead.command.<cloud>.<resource>.<operation>.
func (p Prefix) DeadCommand(cloud, resource, operation string) string {
	return string(p) + ".dead.command." + cloud + "." + Token(resource) + "." + Token(operation)
}

// DeadWebhook is the subject of a webhook body that could not be made into an event: factro.dead.webhook.<cloud>.
func (p Prefix) DeadWebhook(cloud string) string {
	return string(p) + ".dead.webhook." + cloud
}

// Each cloud has streams and buckets of its own. Their names are the prefix, the kind and the cloud in capitals; neither
// prefix nor cloud has an underscore, so no two clouds share one.

// EventStream is the name of the stream that holds the events of a cloud, such as FACTRO_EVENTS_ACME.
func (p Prefix) EventStream(cloud string) string { return stream(p, "EVENTS", cloud) }

// CommandStream is the name of the work queue of a cloud's commands, such as FACTRO_COMMANDS_ACME.
func (p Prefix) CommandStream(cloud string) string { return stream(p, "COMMANDS", cloud) }

// ResultStream is the name of the stream that holds the results of a cloud's commands, such as FACTRO_RESULTS_ACME.
func (p Prefix) ResultStream(cloud string) string { return stream(p, "RESULTS", cloud) }

// DeadStream is the name of the stream that holds the dead letters of a cloud, such as FACTRO_DEAD_ACME.
func (p Prefix) DeadStream(cloud string) string { return stream(p, "DEAD", cloud) }

// BridgeStream is the name of the stream that holds what the bridge reports of itself about a cloud, such as
// FACTRO_BRIDGE_ACME.
func (p Prefix) BridgeStream(cloud string) string { return stream(p, "BRIDGE", cloud) }

// FileBucket is the object store bucket of the files that commands of a cloud upload, such as FACTRO_FILES_ACME.
func (p Prefix) FileBucket(cloud string) string { return stream(p, "FILES", cloud) }

// AnswerBucket is the object store bucket of a cloud's answers that are too large for a message, such as
// FACTRO_ANSWERS_ACME.
func (p Prefix) AnswerBucket(cloud string) string { return stream(p, "ANSWERS", cloud) }

// OriginalBucket is the object store bucket of a cloud's commands and webhooks that no dead letter can hold, and of what
// could not be published yet, such as FACTRO_ORIGINALS_ACME.
func (p Prefix) OriginalBucket(cloud string) string { return stream(p, "ORIGINALS", cloud) }

// changeStream holds the changes of a cloud's objects. The package change has its public name.
func (p Prefix) changeStream(cloud string) string { return stream(p, "CHANGES", cloud) }

func stream(p Prefix, kind, cloud string) string {
	return strings.ToUpper(string(p)) + "_" + kind + "_" + strings.ToUpper(cloud)
}

// Token returns s if it can be a token of a subject as it is, which is 1 to 128 bytes of [A-Za-z0-9_-], else "_".
// The true value is still in the event.
func Token(s string) string { return subject.Token(s) }

// ResourceBridge is the resource of the bridge's own events: those about gaps, which the package gap reads, and those of
// "bridge canary".
const ResourceBridge = "bridge"

// ActionCanary is the action of the webhooks that "bridge canary" sends to see whether one arrives. factro has no such
// action. Their events are of ResourceBridge, too: leave them out where they are not wanted.
const ActionCanary = "BridgeCanary"

// OperationCanary is the operation of the command that "bridge canary" sends, on ResourceBridge. The bridge answers it itself:
// the result is applied, factro is not called, and nothing is remembered.
const OperationCanary = "canary"

// SchemaURI is the identity of a schema of the contract, urn:factro:schema:<name>, as its $id and a result's dataschema
// have it. Names are event, change, state, gap, notice, command.<operation>, result, result.<operation>, query.<operation> and answer.<operation>;
// "bridge contract schema" lists and prints them.
func SchemaURI(name string) string { return "urn:factro:schema:" + name }
