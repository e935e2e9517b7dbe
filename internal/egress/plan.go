package egress

import (
	"context"
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/egress/delay"
	"github.com/factro-bridge/factro-bridge/internal/externalkey"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// plan makes the call for a command. A canary is for the bridge itself and has no call.
func (w *Worker) plan(ctx context.Context, j *job) finding {
	reason := w.prepare(j, j.mistake)
	switch {
	case reason != nil:
		return j.reject(reason)
	case j.canary():
		if e := w.rejectExpired(ctx, j); e != goOn {
			return e
		}
		return j.conclude(events.Applied, coreapi.Answer{}, nil)
	case !j.dryRun && time.Now().Before(j.notBefore): // its external keys are looked up when it is due
		return early
	case j.hasKeys():
		return keyed
	}
	return j.planned()
}

// hasKeys says whether the command has external keys.
func (j *job) hasKeys() bool { return len(j.refs) > 0 || j.key.Name != "" }

// planned leads a command whose call is known to its next state.
func (j *job) planned() finding {
	if j.dryRun {
		return onlyDryRun
	}
	return goOn
}

// canary says whether a command is for the bridge itself.
func (j *job) canary() bool {
	return j.cmd.Resource == events.ResourceBridge && j.cmd.Operation == events.OperationCanary
}

// prepare finds the operation and translates the command. If the command cannot be carried out, it returns the reason.
func (w *Worker) prepare(j *job, mistake error) *events.Error {
	if mistake != nil {
		return &events.Error{Code: events.CodeInvalid, Message: mistake.Error()}
	}
	if reason := j.attributes(); reason != nil {
		return reason
	}
	if j.canary() {
		return delay.Never(j.notBefore)
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
	if w.cfg.Refuses != nil {
		if why := w.cfg.Refuses(op.Name, j.cmd.Source()); why != "" {
			return &events.Error{Code: events.CodePolicy, Message: why}
		}
	}
	var err error
	if j.refs, err = translate.KeyRefs(op, j.cmd.Event.Data()); err != nil {
		return coreapi.Mistaken(err)
	}
	if err = j.makeCall(nil); err != nil { // with external keys only to find the other mistakes
		return coreapi.Mistaken(err)
	}
	if reason := j.key.Check(op, j.data); reason != nil {
		return reason
	}
	if bucket := w.cfg.Prefix.FileBucket(w.cloud); j.call.Upload != nil && j.call.Upload.Object != nil &&
		j.call.Upload.Object.Bucket != bucket && j.call.Upload.Object.Bucket != topology.OldFileBucket(w.cfg.Prefix) {
		// The bridge may have the right to read another bucket when the sender has not.
		return invalid("/file/object/bucket", fmt.Sprintf("%.80q is not the bucket for files, which is %s", j.call.Upload.Object.Bucket, bucket))
	}
	canonical, err := jsontext.Canonical(j.cmd.Event.Data())
	if err != nil {
		return coreapi.Mistaken(err)
	}
	j.record.Fingerprint, j.digest = j.key.FingerprintData(op.Name, canonical), identity.DigestOf(canonical)
	return nil
}

// attributes reads the extension attributes of a command.
func (j *job) attributes() *events.Error {
	var reason *events.Error
	if j.expiry, j.dryRun, reason = translate.Attributes(j.cmd.Event); reason != nil {
		return reason
	}
	if j.notBefore, reason = delay.NotBefore(j.cmd.Event, j.expiry); reason != nil {
		return reason
	}
	j.key, reason = externalkey.Read(j.cmd.Event)
	return reason
}

// Lane is the key of what a command changes, or makes under an external key. Commands of one lane are carried out in their order.
func (w *Worker) Lane(cmd events.Command) string { return externalkey.Lane(cmd) }

// Makes is the key of what a command makes under an external key, "" if it makes nothing under one.
func (w *Worker) Makes(cmd events.Command) string { return externalkey.Makes(cmd) }
