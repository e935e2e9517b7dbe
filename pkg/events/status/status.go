// Package status has the data of the question why the commands of a cloud wait: what events.Client.Status asks the bridge,
// and what the bridge answers. It sends nothing and decides nothing.
package status

import "time"

// Status is what the bridge that carries out the commands of a cloud says about them: why a command has to wait. It names
// no other sender's commands.
type Status struct {
	Cloud string    `json:"cloud"`
	At    time.Time `json:"at"`
	// Waiting counts the commands that are not settled, the one in flight included. It is nil if the bridge cannot see the queue.
	Waiting *uint64 `json:"waiting,omitempty"`
	// Command is how far the command is that was asked about, and Before how many are before it, the one in flight included. They are
	// empty if none was asked about, or if the bridge cannot see the queue.
	Command CommandState `json:"command,omitempty"`
	Before  *uint64      `json:"before,omitempty"`
	// NotBefore is when the command is carried out at the earliest, of CommandDelayed.
	NotBefore *time.Time `json:"notBefore,omitempty"`
	// InFlight is the command that is worked on, whoever sent it; nil if there is none.
	InFlight *InFlight `json:"inHand,omitempty"`
	// Factro is whether the Core API can be reached: its State is Reachable or Unreachable.
	Factro Condition `json:"factro"`
	// Paused is why no command is begun although factro can be reached; nil if none is held back. Its State is Paused.
	Paused *Condition `json:"paused,omitempty"`
}

// CommandState is how far a command is.
type CommandState string

const (
	CommandQueued   CommandState = "queued"  // it is in the stream, behind others
	CommandInFlight CommandState = "inHand"  // a bridge works on it
	CommandSettled  CommandState = "settled" // its result is there, or it waits for its notbefore and was asked about by its position alone
	CommandDelayed  CommandState = "delayed" // it waits for its notbefore
)

// InFlight is the command that is worked on.
type InFlight struct {
	State Activity `json:"state"`
	// Since is when the work on it began; nil if another bridge works on it.
	Since *time.Time `json:"since,omitempty"`
	// Attempts counts the calls that were made for it, Reason is why the last of them failed, one of the Reason constants.
	Attempts int    `json:"attempts,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// Activity is what is done with the command that is worked on.
type Activity string

const (
	Calling   Activity = "calling"   // factro is asked
	Waiting   Activity = "waiting"   // factro may not be asked just now; Factro, Paused or the request budget say why
	Retrying  Activity = "retrying"  // the last call failed, and the next one is due in a moment
	Searching Activity = "looking"   // the bridge searches factro for what a call without an answer has created
	Elsewhere Activity = "elsewhere" // another bridge has it, which does not answer, or it comes again in a moment
)

// Condition is a state with its beginning and its reason.
type Condition struct {
	State string `json:"state"`
	// Since is when it began; nil of Reachable.
	Since *time.Time `json:"since,omitempty"`
	// Reason is one of the Reason constants; readers expect others, too.
	Reason string `json:"reason,omitempty"`
	// Status is the HTTP status that goes with the reason, or 0.
	Status int `json:"status,omitempty"`
	// By and Why are who has paused it and why, of ReasonOperator.
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
	// RetryAt is when it is tried again, as far as that is known.
	RetryAt *time.Time `json:"retryAt,omitempty"`
}

// States of a Condition.
const (
	Reachable   = "reachable"
	Unreachable = "unreachable"
	Paused      = "paused"
)

// Reasons of a Condition.
const (
	ReasonNoConnection = "no-connection" // of Unreachable: no connection to factro, or it broke
	ReasonNoAnswer     = "no-answer"     // of Unreachable: factro did not answer in time
	ReasonErrorStatus  = "error-status"  // of Unreachable: factro, or a gateway before it, answers with Status
	ReasonBadAnswer    = "bad-answer"    // of Unreachable: what came is no answer of the Core API's
	ReasonKeyRefused   = "key-refused"   // of Paused: factro does not accept the API key
	ReasonKeyMissing   = "key-missing"   // of Paused: the bridge has no API key
	ReasonThrottled    = "throttled"     // of Paused: factro's request budget is used up
	ReasonOperator     = "operator"      // of Paused: an operator has paused the commands; By and Why say who and why
	ReasonAskedToWait  = "asked-to-wait" // of Paused: factro, or a gateway before it, asks to be left alone for a while
)

// Request is what is asked about.
type Request struct {
	// Position is the place of a command in its stream, "<stream>:<sequence>", as in events.Sent; "" for none.
	Position string `json:"position,omitempty"`
	// Source and ID are those of the command. With them the answer tells one that waits for its notbefore from one that is settled.
	Source string `json:"source,omitempty"`
	ID     string `json:"id,omitempty"`
}
