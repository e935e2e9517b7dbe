package egress

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/upload"
	"github.com/factro-bridge/factro-bridge/internal/egress/inflight"
	"github.com/factro-bridge/factro-bridge/internal/egress/persist"
	"github.com/factro-bridge/factro-bridge/internal/externalkey"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// job is one command on its way through the states.
type job struct {
	cmd       events.Command
	mistake   error // why the message could not be read as a command
	op        factro.Operation
	call      translate.Call
	startedAt time.Time
	expiry    time.Time // zero if the command does not expire
	notBefore time.Time // zero if the command is not delayed
	dryRun    bool
	progress  *inflight.Command // for status requests
	company   *company          // nil if it is carried out alone

	ledgerID     string // by which the ledger knows the command
	record       ledger.Record
	ownership    ownership
	attempts     int // calls of all deliveries that count
	calls        int // calls of this delivery
	fileFailures int // how often its file could not be read

	digest string // of the command's data; empty if the command could not be planned

	data  []byte                // of the command, with ids in the places of external keys
	refs  []translate.KeyRef    // the external keys in the data
	named map[string]keys.Entry // what they stand for, by their pointers, as far as it was looked up
	key   externalkey.Own

	file       *upload.File   // of the call that comes next
	fileErr    error          // why there is none
	answer     coreapi.Answer // of the last call, or of what was found instead
	conclusion conclusion     // set by conclude
	result     events.Result  // set by remember, or made of the conclusion
	verdict    error          // for the bus, once the command is settled
}

// commandDigest is the digest of the command's data for its results.
func (j *job) commandDigest() string {
	if j.digest != "" {
		return j.digest
	}
	return identity.CommandDigest(j.cmd.Event.Data())
}

// ownership says who owns the ledger's record of a command, and whether an earlier delivery may have made a call for it.
type ownership int

const (
	unchecked ownership = iota // the ledger was not read yet
	foreign                    // an earlier delivery owns the record, and may have made a call
	fresh                      // this delivery owns the record, and nothing was called before
	inherited                  // this delivery owns the record; an earlier one may have made a call, or the create must be made again
)

// owned says whether the ledger has the record and this delivery owns it.
func (j *job) owned() bool { return j.ownership == fresh || j.ownership == inherited }

// own makes this delivery the owner of a record.
func (j *job) own(r ledger.Record, called bool) {
	j.record, j.attempts = r, r.Attempts
	if called || j.ownership == foreign {
		j.ownership = inherited
		return
	}
	j.ownership = fresh
}

// mayExpire says whether the expirytime still counts: nothing can have been called yet.
func (j *job) mayExpire() bool {
	return j.attempts == 0 && (j.ownership == unchecked || j.ownership == fresh)
}

// interrupted says whether an earlier delivery made the last call. That call may still be running.
func (j *job) interrupted() bool { return j.calls == 0 }

// conclusion is the outcome of a command, and its reason.
type conclusion struct {
	outcome events.Outcome
	reason  *events.Error // nil if it was applied
	adopted bool          // the created object was found by a search, not returned by the call
}

// conclude keeps the outcome of the command.
func (j *job) conclude(outcome events.Outcome, a coreapi.Answer, reason *events.Error) finding {
	j.answer, j.conclusion = a, conclusion{outcome: outcome, reason: reason, adopted: j.conclusion.adopted}
	return concluded
}

// reject concludes a command for which nothing was called.
func (j *job) reject(reason *events.Error) finding {
	return j.conclude(events.Rejected, coreapi.Answer{}, reason)
}

// remember keeps the result that will be published.
func (j *job) remember(r events.Result) finding {
	j.result = r
	return remembered
}

// fail returns the command to the bus, which decides when to deliver it again.
func (j *job) fail(err error) finding {
	j.verdict = err
	return storeFailed
}

// stop returns the command to the bus at once, because the bridge is stopping.
func (j *job) stop(err error) finding {
	j.verdict = commands.RetryAfter(err, 0)
	return stopped
}

// actions has the function of each state. docs/commands.md lists them with their files.
var actions = map[state]func(*Worker, context.Context, *job) finding{
	planning:     (*Worker).plan,
	resolving:    (*Worker).resolveKeys,
	dryRunning:   (*Worker).answerDryRun,
	delaying:     (*Worker).delay,
	checking:     (*Worker).checkLedger,
	waiting:      (*Worker).awaitCall,
	beginning:    (*Worker).beginAttempt,
	opening:      (*Worker).openFile,
	awaitingFile: (*Worker).retryFile,
	calling:      (*Worker).attempt,
	freeing:      (*Worker).freeKeys,
	searching:    (*Worker).resolve,
	pausing:      (*Worker).pause,
	concluding:   (*Worker).recordResult,
	settlingKey:  (*Worker).settleKey,
	publishing:   (*Worker).publishResult,
}

// calls are the states in which a create may have made an object that the ledger does not know.
var calls = []state{beginning, opening, calling, concluding}

// Handle carries out a command and publishes its result. See commands.Worker for the arguments and the verdict.
func (w *Worker) Handle(delivery, stopping context.Context, cmd events.Command, mistake error) error {
	return w.handle(delivery, stopping, cmd, mistake, nil)
}

func (w *Worker) handle(delivery, stopping context.Context, cmd events.Command, mistake error, with *company) error {
	ctx := persist.Context(stopping, delivery)
	cmd.Cloud = w.cloud // a subject that does not name a command has no cloud
	j := &job{cmd: cmd, mistake: mistake, ledgerID: cmd.Identity(), startedAt: time.Now(), company: with}
	j.progress = w.inFlight.Begin(j.startedAt)
	defer j.progress.End()
	for at := planning; at != settled; {
		e := actions[at](w, ctx, j)
		next, known := transitions[at][e]
		if !known { // a test makes sure that this cannot happen
			return fmt.Errorf("a command in the state %q has no transition for %q", at, e)
		}
		at = w.keepCompany(j, next)
		j.progress.SetCreates(j.op.Resource, j.op.Creates() && slices.Contains(calls, at))
	}
	return j.verdict
}
