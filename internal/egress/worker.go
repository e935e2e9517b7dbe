package egress

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Results takes what became of commands.
type Results interface {
	// Publish returns when the result is stored. The id makes repeating it harmless.
	Publish(ctx context.Context, subject string, e event.Event, id string) error
	// Reply sends a copy to a subject that the sender named.
	Reply(ctx context.Context, subject string, e event.Event) error
}

// Files are the files that commands refer to instead of holding them.
type Files interface {
	// File returns a file of a bucket, or bus.ErrNoFile.
	File(ctx context.Context, bucket, name string) (bus.File, error)
}

// Config is what a worker needs to know beside its way to factro.
type Config struct {
	// Prefix is the first token of the subjects.
	Prefix events.Prefix
	// ReplyPrefixes are what subjects begin with, beside inboxes, that may get copies of results.
	ReplyPrefixes []string
}

// Stores are where a worker keeps what it must not lose, and where it finds what a command refers to.
type Stores struct {
	Results Results
	Ledger  Ledger
	Files   Files
}

// Worker carries out the commands of one cloud, one at a time. It is a commands.Worker.
type Worker struct {
	api       *coreapi.API
	cfg       Config
	cloud     string
	log       *slog.Logger
	results   Results
	ledger    Ledger
	files     Files
	metrics   *metrics
	replies   *bus.Replies
	id        string // tells this worker from others, in the ledger
	webOrigin string
	mandant   agreed // the mandant's id, once an answer has told it
	concluded atomic.Int64
	hand      hand
}

// New builds the worker of the cloud that the API belongs to.
func New(api *coreapi.API, cfg Config, stores Stores, log *slog.Logger) (*Worker, error) {
	w := &Worker{
		api: api, cfg: cfg, cloud: api.Cloud(), log: log, results: stores.Results, ledger: stores.Ledger, files: stores.Files,
		id: rand.Text(), webOrigin: api.Origin(),
	}
	var err error
	if w.metrics, err = newMetrics(w.cloud); err != nil {
		return nil, err
	}
	w.replies, err = bus.CommandReplies(w.cloud, cfg.ReplyPrefixes, log)
	return w, err
}

// Ready waits until a command may be pulled: an open breaker, a used-up budget or a bad key leave the commands in the
// stream.
func (w *Worker) Ready(ctx context.Context) error {
	w.metrics.expect(ctx)
	return w.api.Pass(ctx, nil)
}

// job is one command on its way through the worker.
type job struct {
	cmd       events.Command
	ledgerID  string // by which the ledger knows the command
	op        factro.Operation
	call      translate.Call
	record    ledger.Record
	startedAt time.Time
	expiry    time.Time // zero if it has none
	dryRun    bool
	canary    bool // it is for the bridge itself
	attempts  int
	misses    int  // how often its file could not be read
	begun     bool // the record is in the ledger, and ours
	again     bool // the create did not happen and is to be made again
	ours      bool // the last call was made by this delivery of the command
	resumed   bool // an earlier delivery may have made a call
	adopted   bool // what it made was found, not answered
}

// interrupted says whether the last call was made by an earlier delivery, which may still be at it.
func (j *job) interrupted() bool { return !j.ours }

// Concluded counts the deliveries that ended with a stored final result.
func (w *Worker) Concluded() int64 { return w.concluded.Load() }

// Handle carries out a command and publishes what became of it. See commands.Worker for the arguments and the verdict.
func (w *Worker) Handle(ctx, stopping context.Context, cmd events.Command, mistake error) error {
	cmd.Cloud = w.cloud // a subject that is no command's does not tell it
	j := &job{cmd: cmd, ledgerID: cmd.Identity(), startedAt: time.Now()}
	w.hand.take(j.startedAt)
	defer w.hand.drop()
	if reason := w.plan(j, mistake); reason != nil {
		return w.end(ctx, j, events.Rejected, coreapi.Answer{}, reason)
	}
	if j.canary {
		if over, verdict := w.late(ctx, j); over {
			return verdict
		}
		return w.end(ctx, j, events.Applied, coreapi.Answer{}, nil)
	}
	for j.dryRun {
		if over, verdict := w.late(ctx, j); over {
			return verdict
		}
		if over, verdict := w.rehearse(ctx, stopping, j); over {
			return verdict
		}
	}
	if over, verdict := w.recall(ctx, j); over {
		return verdict
	}
	if over, verdict := w.late(ctx, j); over {
		return verdict
	}
	for {
		if err := w.turn(ctx, stopping, j); err != nil {
			return commands.RetryAfter(fmt.Errorf("stopped before the call: %w", err), 0)
		}
		if over, verdict := w.late(ctx, j); over { // while it waited
			return verdict
		}
		if over, verdict := w.try(ctx, stopping, j); over {
			return verdict
		}
	}
}

// turn waits until a call may be made for a command.
func (w *Worker) turn(ctx, stopping context.Context, j *job) error {
	before := w.hand.is(events.HandWaiting)
	defer func() { w.hand.is(before) }()
	return w.api.Turn(stopping, func(o coreapi.Obstacle) { w.deferred(ctx, j, o) })
}

// plan finds the operation and translates the command. It returns why the command cannot be carried out.
func (w *Worker) plan(j *job, mistake error) *events.Error {
	if mistake != nil {
		return &events.Error{Code: events.CodeInvalid, Message: mistake.Error()}
	}
	if reason := j.attributes(); reason != nil {
		return reason
	}
	if j.canary = j.cmd.Resource == events.ResourceBridge && j.cmd.Operation == events.OperationCanary; j.canary {
		return nil
	}
	op, known := factro.Lookup(j.cmd.Operation)
	switch {
	case !known:
		return &events.Error{
			Code:    events.CodeUnknownOperation,
			Message: fmt.Sprintf("there is no operation %q; bridge contract operations lists them", j.cmd.Operation),
		}
	case !op.Writes():
		return &events.Error{
			Code:    events.CodeUnknownOperation,
			Message: fmt.Sprintf("%s reads, so it is no command", op.Name),
		}
	case op.Resource != j.cmd.Resource:
		return &events.Error{
			Code:    events.CodeInvalid,
			Message: fmt.Sprintf("%s is an operation on %q, but the subject says %q", op.Name, op.Resource, j.cmd.Resource),
		}
	}
	j.op = op
	var err error
	if j.call, err = translate.Command(op, j.cmd.Event.Data()); err != nil {
		return coreapi.Mistaken(err)
	}
	if bucket := w.cfg.Prefix.FileBucket(w.cloud); j.call.Upload != nil && j.call.Upload.Object != nil &&
		j.call.Upload.Object.Bucket != bucket && j.call.Upload.Object.Bucket != topology.OldFileBucket(w.cfg.Prefix) {
		// Any other could be one that the sender may not read, but the bridge may.
		return invalid("/file/object/bucket", fmt.Sprintf("%.80q is not the bucket for files, which is %s", j.call.Upload.Object.Bucket, bucket))
	}
	if j.record.Fingerprint, err = fingerprint(op, j.cmd.Event.Data()); err != nil {
		return coreapi.Mistaken(err)
	}
	return nil
}

// attributes reads what a command says beside its data.
func (j *job) attributes() *events.Error {
	var err error
	if at, ok := j.cmd.Event.Extensions()[attr.ExpiryTime]; ok {
		if j.expiry, err = types.ToTime(at); err != nil {
			return &events.Error{Code: events.CodeInvalid, Message: "attribute expirytime is not a time as in RFC 3339"}
		}
	}
	if dry, ok := j.cmd.Event.Extensions()[attr.DryRun]; ok {
		if j.dryRun, err = types.ToBool(dry); err != nil { // in doubt, whoever wrote it did not want the call to be made
			return &events.Error{Code: events.CodeInvalid, Message: "attribute dryrun is neither true nor false"}
		}
	}
	return nil
}

// try makes one attempt. over tells that the command has its verdict.
func (w *Worker) try(ctx, stopping context.Context, j *job) (over bool, verdict error) {
	if over, verdict := w.enter(ctx, stopping, j); over {
		return true, verdict
	}
	file, err := w.file(ctx, j.call.Upload)
	if err != nil {
		if err := w.release(ctx, j); err != nil {
			return true, err
		}
		return w.missed(ctx, stopping, j, err)
	}
	defer file.Close()
	call, err := translate.Dated(j.op, j.call, j.record.Dated)
	if err != nil {
		return true, err
	}
	j.attempts++
	j.ours = true
	w.hand.is(events.HandCalling)
	crashpoint("before-call")
	a, judgement := w.api.Exchange(ctx, coreapi.Attempt{Op: j.op, Number: j.attempts, File: file}, call, w.api.Key())
	crashpoint("after-call")
	j.noted(ctx, judgement, a)
	w.hand.called(j.attempts, coreapi.FailureCode(judgement, a))
	if ctx.Err() != nil && a.Err != nil {
		// Told to stop, and the call took longer than the grace. The ledger knows that a create may have happened.
		err := fmt.Errorf("stopped during the call: %w", a.Err)
		if a.Unsent {
			err = errors.Join(err, w.release(ctx, j))
		}
		return true, err
	}
	switch judgement {
	case coreapi.Done:
		return true, w.end(ctx, j, events.Applied, a, nil)
	case coreapi.Refused:
		return true, w.end(ctx, j, events.Rejected, a, a.Refusal())
	case coreapi.Unknown:
		if err := w.save(ctx, j); err != nil {
			return true, err
		}
		if j.op.Creates() {
			return w.resolve(ctx, stopping, j, a)
		}
	case coreapi.Throttled, coreapi.Unauthorized, coreapi.Failed:
		if judgement != coreapi.Failed || a.Unasked() {
			j.attempts-- // factro did not work on it; the gate is closed now and says when to go on
			j.record.Attempts = j.attempts
		}
		if err := w.release(ctx, j); err != nil {
			return true, err
		}
	}
	if judgement == coreapi.Throttled || judgement == coreapi.Unauthorized || a.Unasked() {
		return false, nil
	}
	if j.attempts >= maxAttempts {
		return true, w.end(ctx, j, events.Dead, a, &events.Error{
			Code:    events.CodeExhausted,
			Message: fmt.Sprintf("factro failed on this command %s: %s", plural.Of(j.attempts, "time"), a.Text()), Answer: a.Quoted(),
		})
	}
	w.hand.is(events.HandRetrying)
	if err := coreapi.Sleep(stopping, backoff(j.attempts)); err != nil {
		return true, commands.RetryAfter(fmt.Errorf("stopped between attempts: %w", err), 0)
	}
	return false, nil
}
