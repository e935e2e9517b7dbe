package schemas

import (
	"fmt"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

// Code is a code of events.Error with what it says of a command.
type Code struct {
	Name    string
	Outcome events.Outcome
	Meaning string
}

// Codes are all of them, in the order in which a command can meet them.
var Codes = []Code{
	{events.CodeInvalid, events.Rejected, "the data or an attribute is wrong; `detail` lists every mistake; nothing was called"},
	{events.CodeUnknownOperation, events.Rejected, "no such operation, or one that reads; nothing was called"},
	{events.CodeUnknownKey, events.Rejected, "the data names an object by an external key that is not known; `detail` says which; nothing was called"},
	{events.CodeExpired, events.Rejected, "`expirytime` had passed; nothing was called"},
	{events.CodeConflict, events.Rejected, "the same source and id were used before with another operation or other data; nothing was called; `earlier` is the result of that command without its `response`, once it has one"},
	{notbefore.CodeUnsupported, events.Rejected, "`notbefore` was given, and NATS cannot keep the command until then; `message` says what is needed: mostly a server of version 2.12 or later; nothing was called"},
	{notbefore.CodeFull, events.Rejected, "`notbefore` was given, and too many delayed commands wait already; nothing was called"},
	{notbefore.CodeWaiting, events.Deferred, "the command waits for its `notbefore`, which is `retryAt`"},
	{notbefore.CodeCancelled, events.Rejected, "it was cancelled while it waited for its `notbefore`; nothing was called, and there is no dead letter"},
	{events.CodeRefused, events.Rejected, "factro said no; `status`, `message` and `detail` tell what, `answer` is what it sent"},
	{events.CodePolicy, events.Rejected, "the policy of the bridge's operator does not let it through; `message` has the rule; nothing was called"},
	{events.CodePurged, events.Rejected, "an operator took it out of the queue; `message` says who and why; nothing was called"},
	{events.CodePaused, events.Deferred, "an operator has paused the commands of the cloud; it goes on once they are resumed"},
	{events.CodeThrottled, events.Deferred, "the request budget is used up for now"},
	{events.CodeUnauthorized, events.Deferred, "factro does not accept the API key; the cloud is paused until an operator has renewed it"},
	{events.CodeUnavailable, events.Deferred, "factro fails or cannot be reached"},
	{events.CodeQueued, events.Deferred, "other commands go before it; `retryAt` is when its turn is likely to come"},
	{events.CodeHeld, events.Deferred, "a dead letter about the same thing has to be sent again or dropped first, as `on_dead: hold` wants it"},
	{events.CodeExhausted, events.Dead, "factro failed on this command eight times, or its file could not be read as often"},
	{events.CodeUndeliverable, events.Dead, "the broker gave it up without a verdict, as a consumer with a limit of deliveries does; a human should look"},
	{events.CodeAmbiguous, events.Dead, "a create may have happened, and the bridge cannot find out; a human should look, and `message` says where"},
}

// Outcomes are all of them, each with its meaning.
var Outcomes = []struct {
	Name    events.Outcome
	Meaning string
}{
	{events.Applied, "carried out"},
	{events.Rejected, "final: the input was wrong, or factro said no"},
	{events.Deferred, "still the bridge's, a final outcome follows"},
	{events.Dead, "given up, and kept among the dead letters"},
}

// OutcomeNames are the outcomes of commands.
func OutcomeNames() ordered.List {
	names := ordered.List{}
	for _, o := range Outcomes {
		names = append(names, string(o.Name))
	}
	return names
}

// OutcomeText says what each outcome means.
func OutcomeText() string {
	parts := make([]string, len(Outcomes))
	for i, o := range Outcomes {
		parts[i] = fmt.Sprintf("%s: %s.", o.Name, o.Meaning)
	}
	return strings.Join(parts, " ")
}
