package commands

import (
	"context"
	"errors"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Worker works on the commands of one cloud.
type Worker interface {
	// Ready waits until a command may be pulled. It returns an error only when ctx ends.
	Ready(ctx context.Context) error
	handler
}

type handler interface {
	// Handle carries out a command. mistake is why the message could not be read as a command, else nil; the command then
	// holds what could be read. stopping ends when the bridge has to stop, ctx a bounded while later. The error is the
	// verdict: nil settles the command, Terminal makes it a dead letter, RetryAfter and any other error have it delivered
	// again.
	Handle(ctx, stopping context.Context, cmd events.Command, mistake error) error
}

// terminal is the verdict that a command must not be delivered again.
type terminal struct{ letter deadletter.Letter }

func (t *terminal) Error() string { return t.letter.Reason.Error() }
func (t *terminal) Unwrap() error { return t.letter.Reason }

// Terminal returns the verdict that the command must not be delivered again. It becomes a dead letter.
func Terminal(l deadletter.Letter) error { return &terminal{l} }

// LetterOf returns the dead letter of a verdict, if it is a terminal one.
func LetterOf(verdict error) (deadletter.Letter, bool) {
	end, ok := errors.AsType[*terminal](verdict)
	if !ok {
		return deadletter.Letter{}, false
	}
	return end.letter, true
}

// retry is the verdict that a command is to be delivered again after a while.
type retry struct {
	err   error
	after time.Duration
	alone bool
}

func (r *retry) Error() string { return r.err.Error() }
func (r *retry) Unwrap() error { return r.err }

// RetryAfter returns the verdict that the command is to be delivered again after d; at once if d is 0.
func RetryAfter(err error, d time.Duration) error { return &retry{err: err, after: d} }

// AloneAfter returns the verdict that the command is to be delivered again after d, and not together with others.
func AloneAfter(err error, d time.Duration) error { return &retry{err, d, true} }

// pending is the verdict that a command is decided, and that its result could not be published.
type pending struct {
	result  deadletter.PendingPublish
	verdict error // about the command itself: nil, or a terminal one
	why     error
}

func (p *pending) Error() string { return p.why.Error() }

func (p *pending) Unwrap() []error {
	if p.verdict == nil {
		return []error{p.why}
	}
	return []error{p.verdict, p.why}
}

// Pending returns the verdict that a command is decided, as verdict says, and that its result is to be published later,
// because the broker refuses it now.
func Pending(verdict error, subject string, result event.Event, id string, why error) error {
	msg, err := events.ToMsg(subject, result)
	if err != nil { // the event is not valid: there is nothing to publish
		return verdict
	}
	return &pending{deadletter.PendingPublish{ID: id, Msg: msg}, verdict, why}
}

// concluder is a Worker that counts the deliveries that ended with a stored final result.
type concluder interface{ Concluded() int64 }

// concludedBy is the count of a worker, or nil.
func concludedBy(w Worker) func() int64 {
	if c, ok := w.(concluder); ok {
		return c.Concluded
	}
	return nil
}

// isReturned says whether a verdict leaves the final result unpublished.
func isReturned(verdict error) bool {
	var end *terminal
	var wait *pending
	return verdict != nil && !errors.As(verdict, &end) || errors.As(verdict, &wait)
}
