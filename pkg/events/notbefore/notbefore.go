// Package notbefore has what the contract says of commands that wait for their notbefore: the codes of their results, and the requests to
// cancel them. It decides nothing.
package notbefore

// The codes of results of commands with a notbefore, beside those of all commands.
const (
	CodeUnsupported = "unsupported" // NATS cannot keep the command until then; nothing was called
	CodeFull        = "full"        // too many delayed commands wait already; nothing was called
	CodeWaiting     = "notbefore"   // the command waits for its notbefore
	CodeCancelled   = "cancelled"   // it was cancelled while it waited for its notbefore; nothing was called
)

// CancelRequest asks the bridge to cancel a delayed command.
type CancelRequest struct {
	// ID and Source are those of the command. A plain JSON command has no source.
	ID     string `json:"id"`
	Source string `json:"source,omitempty"`
}

// CancelAnswer is the answer to a CancelRequest.
type CancelAnswer struct {
	State CancelState `json:"state"`
}

// CancelState is the outcome of a CancelRequest.
type CancelState string

const (
	// Cancelled says that the command is not carried out. Its final result is rejected, with the code CodeCancelled, and follows
	// within seconds, or when the queue comes to a command that is still there. A command that was cancelled before is cancelled as
	// well.
	Cancelled CancelState = "cancelled"
	// Begun says that it is too late: the command was begun, or has a final result already.
	Begun CancelState = "begun"
	// NotFound says that no delayed command has this source and id.
	NotFound CancelState = "not-found"
)
