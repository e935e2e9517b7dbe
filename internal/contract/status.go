package contract

import (
	"time"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// statusAnswerName is the answer to the question why commands wait.
const statusAnswerName = "answer.status"

// status describes the question why the commands of a cloud wait.
func (d *document) status() {
	d.message(schemas.StatusName, ordered.Object{
		{"name", schemas.StatusName},
		{"title", "Why commands wait"},
		{"summary", "Asks the bridge with the role egress why the commands of a cloud wait, and how far one of them is."},
		{"contentType", "application/json"},
		{"payload", reference(componentsPrefix + "StatusRequest")},
		{"examples", ordered.List{sample{payload: mustJSON(events.StatusRequest{Position: d.prefix.CommandStream(ExampleCloud) + ":17"})}.example("How far is this command?")}},
	})
	d.channel(schemas.StatusName, d.prefix.Status("cloud"), "Why commands wait", ordered.Inline{}, parameters("cloud"))
	d.answer(statusAnswerName, ordered.Object{
		{"name", statusAnswerName},
		{"title", "What commands wait for"},
		{"summary", "What the bridge that has a command in flight knows, or else one that would take the next. factro is not called for it."},
		{"contentType", "application/json"},
		{"payload", reference(componentsPrefix + "Status")},
		{"examples", ordered.List{sample{payload: mustJSON(ExampleStatus())}.example("factro cannot be reached")}},
	})
	replies := ordered.List{}
	for _, m := range []string{statusAnswerName, queryErrorName} {
		replies = append(replies, reference(channelRef(answerChannel)+"/messages/"+m))
	}
	d.operation(schemas.StatusName, "receive", ordered.Object{
		{"summary", "Say why commands wait."},
		{"reply", ordered.Object{{"channel", reference(channelRef(answerChannel))}, {"messages", replies}}},
	})
}

// ExampleStatus is a status of a cloud to show.
func ExampleStatus() events.Status {
	since, next := ExampleTime, ExampleTime.Add(2*time.Minute)
	return events.Status{
		Cloud: ExampleCloud, At: ExampleTime.Add(time.Minute), Waiting: new(uint64(4)), Command: events.CommandQueued, Before: new(uint64(3)),
		InHand: &events.InHand{State: events.HandWaiting, Since: &since, Attempts: 5, Reason: events.ReasonNoConnection},
		Factro: events.Condition{State: events.Unreachable, Since: &since, Reason: events.ReasonNoConnection, RetryAt: &next},
	}
}
