package egress

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Results takes what became of commands.
type Results interface {
	// Publish returns when the result is stored. The id makes repeating it harmless.
	Publish(ctx context.Context, subject string, e event.Event, id string) error
	// Reply sends a copy to a subject that the sender named.
	Reply(ctx context.Context, subject string, e event.Event) error
}

// Ledger remembers creates over crashes.
type Ledger interface {
	Begin(ctx context.Context, cloud, commandID string, r bus.Record) (known bool, have bus.Record, err error)
	Finish(ctx context.Context, cloud, commandID string, r bus.Record) error
	Forget(ctx context.Context, cloud, commandID string) error
}

// Files are the files that commands refer to instead of holding them.
type Files interface {
	// File returns a file of the bridge's own bucket, or bus.ErrNoFile.
	File(ctx context.Context, name string) (bus.File, error)
}

// Worker carries out the commands of one cloud, one at a time. It is a bus.Worker.
type Worker struct {
	*API
	results   Results
	ledger    Ledger
	files     Files
	metrics   *metrics
	webOrigin string
	mandant   atomic.Value // string: the mandant's id, once an answer has told it
}

// New builds a worker.
func New(api *API, results Results, ledger Ledger, files Files) (*Worker, error) {
	base, err := url.Parse(api.cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("api.url: %w", err)
	}
	w := &Worker{API: api, results: results, ledger: ledger, files: files, webOrigin: base.Scheme + "://" + base.Host}
	w.mandant.Store("")
	w.metrics, err = newMetrics(api.cfg.Cloud)
	return w, err
}

// Ready waits until a command may be pulled: an open breaker, a used-up budget or a bad key leave the commands in the
// stream.
func (w *Worker) Ready(ctx context.Context) error { return w.pass(ctx, nil) }

// job is one command on its way through the worker.
type job struct {
	cmd       events.Command
	op        factro.Operation
	call      translate.Call
	record    bus.Record
	startedAt time.Time
	expiry    time.Time // zero if it has none
	dryRun    bool
	attempts  int
	misses    int // how often its file could not be read
}

// Handle carries out a command and publishes what became of it. See bus.Worker for the arguments and the verdict.
func (w *Worker) Handle(ctx, stopping context.Context, cmd events.Command, mistake error) error {
	cmd.Cloud = w.cfg.Cloud // a subject that is no command's does not tell it
	j := &job{cmd: cmd, startedAt: time.Now()}
	if reason := w.plan(j, mistake); reason != nil {
		return w.end(ctx, j, events.Rejected, answer{}, reason)
	}
	for j.dryRun {
		if over, verdict := w.rehearse(ctx, stopping, j); over {
			return verdict
		}
	}
	for {
		err := w.pass(stopping, func(o obstacle) { w.deferred(ctx, j, o) })
		if err == nil {
			err = w.pace.Wait(stopping)
		}
		if err != nil {
			return bus.RetryAfter(fmt.Errorf("stopped before the call: %w", err), 0)
		}
		if reason := j.expired(); reason != nil { // while it waited
			return w.end(ctx, j, events.Rejected, answer{}, reason)
		}
		if over, verdict := w.try(ctx, stopping, j); over {
			return verdict
		}
	}
}

// plan finds the operation and translates the command. It returns why the command cannot be carried out.
func (w *Worker) plan(j *job, mistake error) *events.Error {
	if mistake != nil {
		return &events.Error{Code: events.CodeInvalid, Message: mistake.Error()}
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
	var err error
	if at, ok := j.cmd.Event.Extensions()[events.ExtExpiryTime]; ok {
		if j.expiry, err = types.ToTime(at); err != nil {
			return &events.Error{Code: events.CodeInvalid, Message: "attribute expirytime is not a time as in RFC 3339"}
		}
	}
	if dry, ok := j.cmd.Event.Extensions()[events.ExtDryRun]; ok {
		if j.dryRun, err = types.ToBool(dry); err != nil { // in doubt, whoever wrote it did not want the call to be made
			return &events.Error{Code: events.CodeInvalid, Message: "attribute dryrun is neither true nor false"}
		}
	}
	if reason := j.expired(); reason != nil {
		return reason
	}
	j.op = op
	if j.call, err = translate.Command(op, j.cmd.Event.Data()); err != nil {
		return mistaken(err)
	}
	if bucket := w.cfg.Prefix.FileBucket(); j.call.Upload != nil && j.call.Upload.Object != nil && j.call.Upload.Object.Bucket != bucket {
		// Any other could be one that the sender may not read, but the bridge may.
		return invalid("/file/object/bucket", fmt.Sprintf("%.80q is not the bucket for files, which is %s", j.call.Upload.Object.Bucket, bucket))
	}
	sum := sha256.Sum256(append([]byte(op.Name+"\n"), j.cmd.Event.Data()...))
	j.record = bus.Record{Fingerprint: hex.EncodeToString(sum[:]), StartedAt: j.startedAt.UTC()}
	return nil
}

// expired returns why a command is not to be carried out any more. One that factro may have begun is carried on with.
func (j *job) expired() *events.Error {
	if j.expiry.IsZero() || j.attempts > 0 || time.Now().Before(j.expiry) {
		return nil
	}
	return &events.Error{Code: events.CodeExpired, Message: "expirytime had passed"}
}

// try makes one attempt. over tells that the command has its verdict.
func (w *Worker) try(ctx, stopping context.Context, j *job) (over bool, verdict error) {
	if j.op.Creates() {
		known, have, err := w.ledger.Begin(ctx, w.cfg.Cloud, j.cmd.Event.ID(), j.record)
		if err != nil {
			return true, err
		}
		if known {
			return true, w.again(ctx, j, have)
		}
	}
	file, err := w.file(ctx, j.call.Upload)
	if err != nil {
		if err := w.forget(ctx, j); err != nil {
			return true, err
		}
		return w.missed(ctx, stopping, j, err)
	}
	defer file.close()
	j.attempts++
	a, judgement := w.exchange(ctx, attempt{op: j.op, number: j.attempts, file: file}, j.call, w.key(ctx))
	if ctx.Err() != nil && a.err != nil {
		// Told to stop, and the call took longer than the grace. The ledger knows that a create may have happened.
		err := fmt.Errorf("stopped during the call: %w", a.err)
		if a.unsent {
			err = errors.Join(err, w.forget(ctx, j))
		}
		return true, err
	}
	switch judgement {
	case done:
		return true, w.end(ctx, j, events.Applied, a, nil)
	case refused:
		return true, w.end(ctx, j, events.Rejected, a, refusal(a))
	case unknown:
		if j.op.Creates() {
			return true, w.end(ctx, j, events.Dead, a, &events.Error{Code: events.CodeAmbiguous, Message: ambiguous(a), Detail: detail(a)})
		}
	case throttled, unauthorized, failed:
		if err := w.forget(ctx, j); err != nil {
			return true, err
		}
	}
	if judgement == throttled || judgement == unauthorized || errors.Is(a.err, errOpen) {
		j.attempts-- // factro did not work on it; the gate is closed now and says when to go on
		return false, nil
	}
	if j.attempts >= maxAttempts {
		return true, w.end(ctx, j, events.Dead, a, &events.Error{
			Code:    events.CodeExhausted,
			Message: fmt.Sprintf("factro failed on this command %d times: %s", j.attempts, outcomeText(a)), Detail: detail(a),
		})
	}
	if err := sleep(stopping, backoff(j.attempts)); err != nil {
		return true, bus.RetryAfter(fmt.Errorf("stopped between attempts: %w", err), 0)
	}
	return false, nil
}

// forget takes a create back out of the ledger that certainly did not happen, so that the next attempt is a first one.
func (w *Worker) forget(ctx context.Context, j *job) error {
	if !j.op.Creates() {
		return nil
	}
	return insist(ctx, func(ctx context.Context) error { return w.ledger.Forget(ctx, w.cfg.Cloud, j.cmd.Event.ID()) })
}

// again decides about a create that the ledger knows already.
func (w *Worker) again(ctx context.Context, j *job, have bus.Record) error {
	switch {
	case have.Fingerprint != j.record.Fingerprint:
		return w.end(ctx, j, events.Rejected, answer{}, &events.Error{
			Code:    events.CodeConflict,
			Message: "a command with this id was sent before with other data; an id is for one command",
		})
	case have.Result == nil:
		return w.end(ctx, j, events.Dead, answer{}, &events.Error{
			Code: events.CodeAmbiguous,
			Message: fmt.Sprintf("the bridge was interrupted at %s while it carried out this command; factro may have done it. "+
				"Look whether the object is there before you send the command again under another id", have.StartedAt.Format(time.RFC3339)),
		})
	}
	var r events.Result
	if err := json.Unmarshal(have.Result, &r); err != nil {
		return fmt.Errorf("result in the ledger: %w", err)
	}
	return w.tell(ctx, j, r)
}

// backoff grows from half a second to half a minute, with jitter.
func backoff(attempt int) time.Duration {
	d := min(500*time.Millisecond<<min(attempt-1, 10), 30*time.Second)
	return d/2 + rand.N(d/2)
}
