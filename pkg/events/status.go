package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// Status is what the bridge that carries out the commands of a cloud says about them: why a command has to wait. It names
// no other sender's commands.
type Status struct {
	Cloud string    `json:"cloud"`
	At    time.Time `json:"at"`
	// Waiting counts the commands that are not settled, the one in hand included. It is nil if the bridge cannot see the queue.
	Waiting *uint64 `json:"waiting,omitempty"`
	// Command is how far the command is that was asked about, and Before how many are before it, the one in hand included. They are
	// empty if none was asked about, or if the bridge cannot see the queue.
	Command CommandState `json:"command,omitempty"`
	Before  *uint64      `json:"before,omitempty"`
	// InHand is the command that is worked on, of whomever; nil if there is none.
	InHand *InHand `json:"inHand,omitempty"`
	// Factro is whether the Core API can be reached: its State is Reachable or Unreachable.
	Factro Condition `json:"factro"`
	// Paused is why no command is begun although factro can be reached; nil if none is held back. Its State is Paused.
	Paused *Condition `json:"paused,omitempty"`
}

// CommandState is how far a command is.
type CommandState string

const (
	CommandQueued  CommandState = "queued"  // it is in the stream, and its turn is to come
	CommandInHand  CommandState = "inHand"  // a bridge works on it
	CommandSettled CommandState = "settled" // its result is there
)

// InHand is the command that is worked on.
type InHand struct {
	State HandState `json:"state"`
	// Since is when it was taken in hand; nil if another bridge works on it.
	Since *time.Time `json:"since,omitempty"`
	// Attempts counts the calls that were made for it, Reason is why the last of them failed, one of the Reason constants.
	Attempts int    `json:"attempts,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// HandState is what is done with the command in hand.
type HandState string

const (
	HandCalling   HandState = "calling"   // factro is asked
	HandWaiting   HandState = "waiting"   // factro may not be asked just now; Factro, Paused or the request budget say why
	HandRetrying  HandState = "retrying"  // the last call failed, and the next one is due in a moment
	HandLooking   HandState = "looking"   // it is looked for at factro what a call without an answer has made
	HandElsewhere HandState = "elsewhere" // another bridge has it, which does not answer, or it comes again in a moment
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
	ReasonAskedToWait  = "asked-to-wait" // of Paused: factro, or a gateway before it, asks to be left alone for a while
)

// StatusRequest is what is asked about.
type StatusRequest struct {
	// Position is the place of a command in its stream, "<stream>:<sequence>", as in [Sent]; "" for none.
	Position string `json:"position,omitempty"`
}

// statusTimeout bounds a question about the state of the commands whose context has no deadline.
const statusTimeout = 2 * time.Second

// Status asks the bridge why the commands of the cloud wait, and with the position of a command, how far that is. The bridge
// answers without calling factro, so also while factro is away.
//
// [nats.ErrNoResponders] means that no bridge with the role egress is connected for this cloud, that it is one before contract 3.0,
// or, in an account of its own, that [Prefix.Status] is not imported there. A user without the right gets no answer in time.
func (c *Client) Status(ctx context.Context, position string) (Status, error) {
	if err := c.check(); err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	data, err := json.Marshal(StatusRequest{Position: position})
	if err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	msg := &nats.Msg{Subject: c.prefix.Status(c.cloud), Header: nats.Header{}, Data: data}
	propagator.Inject(ctx, delivery.Header(msg.Header))
	answer, err := c.js.Conn().RequestMsgWithContext(ctx, msg)
	if err != nil {
		return Status{}, fmt.Errorf("status %s: %w", msg.Subject, err)
	}
	if err := answerError(answer); err != nil {
		return Status{}, err
	}
	var s Status
	if err := json.Unmarshal(answer.Data, &s); err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	return s, nil
}

const (
	// statusAfter is how long OnStatus is silent: most results come before that.
	statusAfter = time.Second
	// statusEvery is how often it is asked.
	statusEvery = 2 * time.Second
	// unansweredMost is after how many questions without any word nobody is asked again: the right is missing, and each one is an
	// error in the server's log.
	unansweredMost = 2
	// absences is how many times in a row there has to be no bridge before f hears so: one that restarts is back in a moment.
	absences = 3
)

// WatchStatus calls f with what [Client.Status] says, after a second and then whenever it has changed, until ctx ends. The first
// error is reported, too, and at once if no bridge is there.
func (c *Client) WatchStatus(ctx context.Context, position string, f func(Status, error)) {
	began := time.Now()
	var told []byte // the last status that was told, without what changes all the time
	var failed bool // the last word was an error
	for absent, silent := 0, 0; ctx.Err() == nil; {
		s, err := c.Status(ctx, position)
		next := statusEvery
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, nats.ErrNoResponders) && absent+1 < absences:
			absent++
			next = 100 * time.Millisecond
		case err != nil:
			if !failed {
				f(Status{}, err)
			}
			failed, told = true, nil
			if silent++; errors.Is(err, nats.ErrNoResponders) || isDisconnect(err) {
				silent = 0
			}
			if silent == unansweredMost {
				return
			}
		default:
			absent, silent, failed = 0, 0, false
			if rest := statusAfter - time.Since(began); rest > 0 {
				next = rest
				break
			}
			if essence := s.essence(); !bytes.Equal(essence, told) {
				f(s, nil)
				told = essence
			}
		}
		pause(ctx, next)
	}
}

// essence is what a person should hear of again if it changes.
func (s Status) essence() []byte {
	s.At, s.Waiting, s.Factro.RetryAt = time.Time{}, nil, nil
	if s.Paused != nil {
		p := *s.Paused
		p.RetryAt = nil
		s.Paused = &p
	}
	text, err := json.Marshal(s)
	if err != nil { // a time beyond the year 9999
		return nil
	}
	return text
}

// news is what WatchStatus tells.
type news struct {
	status Status
	err    error
}

// watch tells the loop that waits for results what it waits for, until ctx ends.
func (w *waiter) watch(ctx context.Context, out chan<- news) {
	w.client.WatchStatus(ctx, w.place, func(s Status, err error) {
		select {
		case out <- news{s, err}:
		case <-ctx.Done():
		}
	})
}
