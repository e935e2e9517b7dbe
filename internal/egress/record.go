package egress

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Ledger remembers commands over crashes, and what they have made. A commandID is the identity of a command, or of one that
// an earlier bridge has begun, its id.
type Ledger interface {
	ledgerLooks
	ledgerWrites
	ledgerClaims
}

type ledgerLooks interface {
	// Begin writes down that a command is about to be carried out, or returns what is known of it.
	Begin(ctx context.Context, cloud, commandID string, r ledger.Record) (known bool, have ledger.Record, err error)
	// Look returns what is known of a command.
	Look(ctx context.Context, cloud, commandID string) (known bool, have ledger.Record, err error)
	// LookFormer returns what an earlier bridge has written about a command with this id, of whatever source.
	LookFormer(ctx context.Context, cloud, id string) (known bool, have ledger.Record, err error)
}

type ledgerWrites interface {
	// Save replaces a record that Begin, Look or Save has returned. Its error is ledger.ErrTaken if somebody else did so.
	Save(ctx context.Context, cloud, commandID string, r ledger.Record) (ledger.Record, error)
	// Forget takes a record back.
	Forget(ctx context.Context, cloud, commandID string, r ledger.Record) error
}

type ledgerClaims interface {
	// Claim says that an object was made by a command, and whether it is this command's.
	Claim(ctx context.Context, cloud, resource, objectID, commandID string) (mine bool, err error)
	// Made are the objects that the records tell of which were written since a time.
	Made(ctx context.Context, cloud string, since time.Time) (map[string]bool, error)
}

// fingerprint tells commands with one identity apart: by the operation and by what the data says, however it is written.
func fingerprint(op factro.Operation, data []byte) (string, error) {
	canonical, err := jsontext.Canonical(data)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append([]byte(op.Name+"\n"), canonical...))
	return hex.EncodeToString(sum[:]), nil
}

// literal is the fingerprint as records of earlier versions of the bridge have it: of the data as it was written.
func literal(op factro.Operation, data []byte) string {
	sum := sha256.Sum256(append([]byte(op.Name+"\n"), data...))
	return hex.EncodeToString(sum[:])
}

// noted adds an attempt to the log of the command.
func (j *job) noted(ctx context.Context, judged coreapi.Judgement, a coreapi.Answer) {
	entry := ledger.Attempt{At: time.Now().UTC(), Status: a.Status}
	if judged != coreapi.Done {
		entry.Error = a.Text()
	}
	if s := trace.SpanContextFromContext(ctx); s.HasTraceID() {
		entry.Trace = s.TraceID().String()
	}
	j.record.Attempts, j.record.Log = j.attempts, ledger.Log(j.record.Log, entry)
}

// save writes the record as it is now into the ledger, without its log if the ledger does not take it otherwise.
func (w *Worker) save(ctx context.Context, j *job) error {
	err := w.saveOnce(ctx, j)
	if publish.Permanent(err) && len(j.record.Log) > 0 {
		log := j.record.Log
		j.record.Log = nil
		err = w.saveOnce(ctx, j)
		j.record.Log = log // for the dead letter
	}
	return err
}

func (w *Worker) saveOnce(ctx context.Context, j *job) error {
	err := insist(ctx, func(ctx context.Context) error {
		saved, err := w.ledger.Save(ctx, w.cloud, j.ledgerID, j.record)
		if err == nil {
			j.record = saved
		}
		return err
	})
	if errors.Is(err, ledger.ErrTaken) {
		w.log.WarnContext(ctx, "another bridge has taken over the command in hand", "cloud", w.cloud, "event_id", j.cmd.Event.ID())
	}
	return err
}

// release writes down that no call so far can have had an effect.
func (w *Worker) release(ctx context.Context, j *job) error {
	j.record.Open = true
	return w.save(ctx, j)
}

// forget takes a command back out of the ledger for which nothing was called.
func (w *Worker) forget(ctx context.Context, j *job) error {
	return insist(ctx, func(ctx context.Context) error {
		return w.ledger.Forget(ctx, w.cloud, j.ledgerID, j.record)
	})
}

// finish writes the result of a command into the ledger. An answer that is too large to be kept for every command is left
// out; the result says so.
func (w *Worker) finish(ctx context.Context, j *job, r events.Result) error {
	if len(r.Response) > maxKept {
		r.Response, r.Omitted = nil, true
	}
	err := fitting(r, func(r events.Result) (err error) {
		if j.record.Result, err = json.Marshal(r); err != nil {
			return fmt.Errorf("result of %s: %w", r.Operation, err)
		}
		return w.save(ctx, j)
	})
	if publish.Permanent(err) || errors.Is(err, publish.ErrRefusing) {
		// It leaves the command unfinished in the ledger, but the sender still gets his result. To wait would hold up the
		// commands behind it.
		w.metrics.unwritten(ctx)
		w.log.ErrorContext(ctx, "the broker refuses the ledger's record of a finished command; should the command be sent again, it may be carried out again",
			"cloud", w.cloud, "operation", events.Token(r.Operation), "event_id", shorten(j.cmd.Event.ID()), "error", err)
		return nil
	}
	return err
}
