package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/await"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/stored"
)

// ReusedError says that a command was not carried out, since its source and id were used before for something else: an id is
// for one command. errors.As finds an *[Error] in it, too, with the code [CodeConflict].
type ReusedError struct {
	// ID is the command's.
	ID string
	// Operation and Cloud are those of the earlier command if its operation is another one, else "".
	Operation, Cloud string
	// Earlier is what is known of the earlier command's result, or nil. It may be a deferred one.
	Earlier *Result
}

func (e *ReusedError) Error() string {
	if e.Operation != "" {
		return fmt.Sprintf("command not sent: the id %s was used before, for %s of %s; choose another one", binding.Quote(e.ID), e.Operation, e.Cloud)
	}
	text := fmt.Sprintf("command not carried out: the id %s was used before, for other data; choose another one", binding.Quote(e.ID))
	if e.Earlier != nil {
		text += fmt.Sprintf(" (the earlier command: %s)", e.Earlier.Outcome)
	}
	return text
}

// Unwrap returns the error as the contract has it.
func (e *ReusedError) Unwrap() error {
	return &Error{Code: CodeConflict, Message: "a command with this source and id was sent before, and was another one; an id is for one command"}
}

// verdict is the error of a final result.
func (w *waiter) verdict(r Result) error {
	if r.Outcome != Rejected || r.Error == nil || r.Error.Code != CodeConflict {
		return r.Err()
	}
	e := &ReusedError{ID: w.order.ID, Earlier: r.Error.Earlier}
	if e.Earlier != nil && e.Earlier.Operation != w.address.Operation {
		e.Operation, e.Cloud = e.Earlier.Operation, w.address.Cloud
	}
	return e
}

// compareTimeout bounds how long a sender who does not wait for the result is kept by the comparison.
const compareTimeout = 2 * time.Second

// compare says whether the message that the stream has instead of the command is another one, as far as that can be found out
// in time: by the message itself, and once it is settled by its result.
func (w *waiter) compare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	if seen, err := w.compareStored(ctx); seen {
		return err
	}
	inStream := make(chan await.Candidate)
	go w.results.Read(ctx, inStream)
	for {
		select {
		case c := <-inStream:
			switch _, err := w.judge(c); {
			case err == nil:
				return nil // it is the same
			case !errors.Is(err, errOther):
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// compareStored compares with the message that the stream has instead of the command. seen is false if it is gone, or may not
// be read.
func (w *waiter) compareStored(ctx context.Context) (seen bool, err error) {
	commands := stored.Reader{JS: w.client.js, Stream: w.ack.Stream}
	got, err := commands.Get(ctx, stored.Request{Seq: w.ack.Sequence})
	if err != nil {
		return false, nil //nolint:nilerr // then its result has to tell
	}
	have, err := w.prefix.DecodeCommand(got[0].Subject, got[0].Header, got[0].Data, position(w.ack))
	switch {
	case err != nil:
		return false, nil //nolint:nilerr // the bridge will answer its sender
	case have.Event.ID() != w.order.ID || have.Source() != w.order.Source:
		return true, takenBy(have.Event.ID(), have.Source())
	case have.Address != w.address:
		return true, &ReusedError{ID: w.order.ID, Operation: have.Operation, Cloud: have.Cloud}
	case identity.CommandDigest(have.Event.Data()) != w.digest:
		return true, &ReusedError{ID: w.order.ID}
	}
	return true, nil
}
