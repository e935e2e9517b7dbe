package contract

import (
	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

// cancelAnswerName is the answer to a request to cancel a delayed command.
const cancelAnswerName = "answer.cancel"

// cancel describes the requests to cancel delayed commands.
func (d *document) cancel() {
	d.message(schemas.CancelName, ordered.Object{
		{"name", schemas.CancelName},
		{"title", "Cancel a delayed command"},
		{"summary", "Asks the bridge with the role egress to cancel a command that waits for its notbefore. Either it is cancelled or it is carried out, never both."},
		{"contentType", "application/json"},
		{"payload", reference(componentsPrefix + "CancelRequest")},
		{"examples", ordered.List{sample{payload: mustJSON(notbefore.CancelRequest{ID: "order-4711", Source: "urn:example:billing"})}.example("Cancel this command")}},
	})
	d.channel(schemas.CancelName, d.prefix.Cancel("cloud"), "Cancel delayed commands", ordered.Inline{}, parameters("cloud"))
	d.answer(cancelAnswerName, ordered.Object{
		{"name", cancelAnswerName},
		{"title", "Outcome of the request to cancel"},
		{"summary", "Whether the command is cancelled. To ask again is harmless."},
		{"contentType", "application/json"},
		{"payload", reference(componentsPrefix + "CancelAnswer")},
		{"examples", ordered.List{sample{payload: mustJSON(notbefore.CancelAnswer{State: notbefore.Cancelled})}.example("It is cancelled")}},
	})
	replies := ordered.List{}
	for _, m := range []string{cancelAnswerName, queryErrorName} {
		replies = append(replies, reference(channelRef(answerChannel)+"/messages/"+m))
	}
	d.operation(schemas.CancelName, "receive", ordered.Object{
		{"summary", "Cancel a delayed command."},
		{"reply", ordered.Object{{"channel", reference(channelRef(answerChannel))}, {"messages", replies}}},
	})
}
