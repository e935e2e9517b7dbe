package egress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Keys has the external keys of objects.
type Keys interface {
	keyReads
	keyWrites
	keyEnds
}

type keyReads interface {
	// Look returns the entry of a key.
	Look(ctx context.Context, cloud, kind, key string) (e keys.Entry, known bool, err error)
	// Queued says whether the message of a command is still in its stream.
	Queued(ctx context.Context, o keys.Owner) (bool, error)
}

type keyWrites interface {
	// Reserve writes that a command is about to create the object of a key, or returns the entry of the key.
	Reserve(ctx context.Context, cloud, kind, key string, owner keys.Owner) (have keys.Entry, mine bool, err error)
	// Complete gives a key that a command has reserved the id of the object; "" if that is not known.
	Complete(ctx context.Context, cloud, kind, key, command, id string) error
}

type keyEnds interface {
	// Release frees a key that a command has reserved.
	Release(ctx context.Context, cloud, kind, key, command string) error
	// Forget frees the key of an entry, unless the entry has changed.
	Forget(ctx context.Context, cloud string, e keys.Entry) error
	// ForgetID frees the key of an object.
	ForgetID(ctx context.Context, cloud, kind, id string) error
}

// ownKey is the external key that a create gives its object.
type ownKey struct {
	name   string
	update bool // the object is updated if it exists
	create factro.Operation
	upsert factro.Upsert // how it is updated
	entry  keys.Entry    // of the object that exists; its ID is empty if there is none
	held   bool          // the command has reserved the key
}

// existing says whether the object exists.
func (k ownKey) existing() bool { return k.entry.ID != "" }

// updating says whether the command is carried out as an update.
func (k ownKey) updating() bool { return k.existing() && k.update }

// kind is the kind of the object that the command creates.
func (k ownKey) kind() string { return k.create.Makes() }

// keyAttributes reads the attributes of a command that are about its external key.
func (j *job) keyAttributes() *events.Error {
	wrong := func(format string, args ...any) *events.Error {
		return &events.Error{Code: events.CodeInvalid, Message: fmt.Sprintf(format, args...)}
	}
	extensions := j.cmd.Event.Extensions()
	value, given := extensions[attr.ExternalKey]
	name, isText := value.(string)
	switch {
	case !given:
	case !isText:
		return wrong("attribute externalkey is a %T, want a string", value)
	case translate.BadKey(name) != "":
		return wrong("attribute externalkey is %s", translate.BadKey(name))
	default:
		j.key.name = name
	}
	conflict, said := extensions[attr.OnConflict]
	switch {
	case !said:
	case !given:
		return wrong("attribute onconflict is set, but there is no externalkey for it")
	case conflict == events.OnConflictUpdate:
		j.key.update = true
	case conflict != events.OnConflictExisting:
		return wrong("attribute onconflict is %.80q, want %q or %q", fmt.Sprint(conflict), events.OnConflictExisting, events.OnConflictUpdate)
	}
	return nil
}

// checkKey says why the operation can have no external key, or cannot become an update.
func (j *job) checkKey() *events.Error {
	if j.key.name == "" {
		return nil
	}
	j.key.create = j.op
	if j.op.Makes() == "" {
		return &events.Error{Code: events.CodeInvalid, Message: fmt.Sprintf("attribute externalkey is set, but %s creates no single object", j.op.Name)}
	}
	if !j.key.update {
		return nil
	}
	var known bool
	if j.key.upsert, known = j.op.Upsert(); !known {
		return &events.Error{Code: events.CodeInvalid, Message: fmt.Sprintf("attribute onconflict is update, but factro has no update for what %s creates", j.op.Name)}
	}
	if err := translate.NotUpdated(j.key.upsert, j.data); err != nil {
		return coreapi.Mistaken(err)
	}
	return nil
}

// makeCall translates the data into a call, with ids in the places of external keys.
func (j *job) makeCall(ids map[string]string) (err error) {
	if j.data, err = translate.WithIDs(j.cmd.Event.Data(), j.refs, ids); err != nil {
		return err
	}
	j.call, err = translate.Command(j.op, j.data)
	return err
}

// resolveKeys replaces the external keys in the data by ids, and reserves the command's own key. A command that has ended already
// keeps its result, whatever has become of the keys.
func (w *Worker) resolveKeys(ctx context.Context, j *job) finding {
	var have map[string]string
	if !j.dryRun {
		known, record, err := w.findRecord(finishing(ctx), j)
		if err != nil {
			return j.fail(err)
		}
		if known {
			if e := w.decideByRecord(j, record); e != goOn {
				return e
			}
			have = record.Refs
		}
	}
	if e := w.rejectExpired(ctx, j); e != goOn {
		return e
	}
	if e := w.resolveRefs(ctx, j, have); e != goOn {
		return e
	}
	if j.key.name == "" {
		return j.planned()
	}
	return w.reserveKey(ctx, j)
}

// keyPause is how long a command waits before it looks again at a key that another command has reserved.
const keyPause = time.Second

// awaitKey returns the command to the bus, since another command decides about a key.
func (j *job) awaitKey(e keys.Entry) finding {
	owner := ""
	if e.Owner != nil {
		owner = e.Owner.ID
	}
	j.verdict = commands.RetryAfter(fmt.Errorf("the external key of a %s is reserved by the command %.80q, which has not ended", e.Kind, owner), keyPause)
	return keyPending
}

// resolveRefs replaces the external keys in the data by ids. have are those that an earlier delivery has found.
func (w *Worker) resolveRefs(ctx context.Context, j *job, have map[string]string) finding {
	if len(j.refs) == 0 {
		return goOn
	}
	ids, named := map[string]string{}, map[string]keys.Entry{}
	var unknown, unclear []events.FieldError
	for _, ref := range j.refs {
		var found []keys.Entry
		for _, kind := range ref.Kinds {
			e, known, err := w.lookUp(ctx, kind, ref.Key)
			switch {
			case err != nil:
				return j.fail(err)
			case known && e.Pending() && have[ref.Pointer] == "":
				return j.awaitKey(e)
			case known && e.ID != "" && (have[ref.Pointer] == "" || have[ref.Pointer] == e.ID):
				found = append(found, e)
			}
		}
		switch {
		case len(found) == 1:
			ids[ref.Pointer], named[ref.Pointer] = found[0].ID, found[0]
		case have[ref.Pointer] != "":
			ids[ref.Pointer] = have[ref.Pointer] // the key was freed or changed since the command began
		case len(found) == 0:
			unknown = append(unknown, ref.UnknownKey())
		default:
			unclear = append(unclear, ref.UnclearKey())
		}
	}
	switch {
	case len(unclear) > 0:
		return j.reject(coreapi.Mistaken(&translate.InvalidError{Fields: unclear}))
	case len(unknown) > 0:
		return j.reject(coreapi.UnknownKey(unknown))
	}
	j.named, j.record.Refs = named, ids
	if err := j.makeCall(ids); err != nil {
		return j.reject(coreapi.Mistaken(err))
	}
	return goOn
}

// lookUp returns the entry of a key. A key that is reserved by a command which has ended is completed or freed.
func (w *Worker) lookUp(ctx context.Context, kind, key string) (keys.Entry, bool, error) {
	e, known, err := w.keys.Look(finishing(ctx), w.cloud, kind, key)
	if err != nil || !known || !e.Pending() {
		return e, known, err
	}
	pending, err := w.settleOwner(ctx, e)
	if err != nil || pending {
		return e, true, err
	}
	return w.keys.Look(finishing(ctx), w.cloud, kind, key)
}

// reserveKey reserves the external key that the command gives its object, or finds the object that has it.
func (w *Worker) reserveKey(ctx context.Context, j *job) finding {
	if j.dryRun {
		return w.foreseeKey(ctx, j)
	}
	for range maxAttempts { // each time somebody else has changed the key in between
		have, mine, err := w.keys.Reserve(finishing(ctx), w.cloud, j.key.kind(), j.key.name, keys.OwnerOf(j.cmd))
		switch {
		case err != nil:
			return j.fail(err)
		case mine:
			crashpoint("after-key")
			j.key.held = true
			return goOn
		case have.ID != "":
			return w.useExisting(ctx, j, have)
		case have.Nameless:
			return j.reject(nameless(have))
		case !have.Pending():
			continue // it was freed in between
		}
		pending, err := w.settleOwner(ctx, have)
		switch {
		case err != nil:
			return j.fail(err)
		case pending:
			return j.awaitKey(have)
		}
	}
	return j.awaitKey(keys.Entry{Kind: j.key.kind()})
}

// foreseeKey finds out for a dry run what the external key would lead to.
func (w *Worker) foreseeKey(ctx context.Context, j *job) finding {
	have, known, err := w.keys.Look(finishing(ctx), w.cloud, j.key.kind(), j.key.name)
	switch {
	case err != nil:
		return j.fail(err)
	case !known || have.Pending():
		return onlyDryRun
	case have.Nameless:
		return j.reject(nameless(have))
	}
	j.key.entry = have
	if !j.key.update {
		now := time.Now().UTC()
		return j.remember(events.Result{
			Operation: j.op.Name, Outcome: events.Applied, StartedAt: j.startedAt.UTC(), FinishedAt: &now, Existing: true, Resource: w.existingResource(j),
		})
	}
	if err := j.becomeUpdate(); err != nil {
		return j.reject(coreapi.Mistaken(err))
	}
	return onlyDryRun
}

// useExisting carries out a create whose external key has an object: as an update, or without a call.
func (w *Worker) useExisting(ctx context.Context, j *job, have keys.Entry) finding {
	j.key.entry = have
	if j.key.update {
		if err := j.becomeUpdate(); err != nil {
			return j.reject(coreapi.Mistaken(err))
		}
		return goOn
	}
	// The ledger keeps this result like any other, so that a redelivery gets the same one. It never says that a call was made.
	if !j.owned() {
		now := time.Now().UTC()
		j.record.StartedAt, j.record.Owner, j.record.Open = now, w.id, true
		j.record.Redrive, j.record.Plain = j.cmd.Redrive, j.cmd.Source() == ""
		known, record, err := w.ledger.Begin(finishing(ctx), w.cloud, j.ledgerID, j.record)
		switch {
		case err != nil:
			return j.fail(err)
		case known:
			if e := w.decideByRecord(j, record); e != goOn {
				return e
			}
			record.Result, record.Redrive = nil, j.cmd.Redrive
		}
		j.own(record, known)
	}
	return j.conclude(events.Applied, coreapi.Answer{}, nil)
}

// becomeUpdate makes the call of an update out of a create.
func (j *job) becomeUpdate() error {
	call, err := translate.Update(j.key.upsert, j.data, j.key.entry.ID)
	if err != nil {
		return err
	}
	j.op, j.call = j.key.upsert.Update, call
	return nil
}

// settleOwner decides about a reserved key if the command that has reserved it has ended. The ledger tells how it ended; if it does not
// tell, the command has not ended as long as its message is in its stream.
func (w *Worker) settleOwner(ctx context.Context, e keys.Entry) (pending bool, err error) {
	ctx = finishing(ctx)
	command := string(e.Owner.Command)
	known, have, err := w.ledger.Look(ctx, w.cloud, command)
	if err != nil {
		return false, err
	}
	if known && have.Result != nil {
		var r events.Result
		if err := json.Unmarshal(have.Result, &r); err != nil {
			return false, fmt.Errorf("result in the ledger: %w", err)
		}
		switch {
		case r.Outcome == events.Applied:
			return false, w.keys.Complete(ctx, w.cloud, e.Kind, e.Key, command, firstOf(have.Made))
		case have.Redrive == e.Owner.Redrive: // else it is redriven, and that has not been recorded yet
			return false, w.keys.Release(ctx, w.cloud, e.Kind, e.Key, command)
		}
	}
	if pending, err = w.keys.Queued(ctx, *e.Owner); err != nil || pending {
		return pending, err
	}
	return false, w.keys.Release(ctx, w.cloud, e.Kind, e.Key, command)
}

// settleKey gives the command's own external key the id of the object that was created, or frees it. It also frees the key of an
// object that the command has deleted. It runs before the result is published, so that who has the result can use the key.
func (w *Worker) settleKey(ctx context.Context, j *job) finding {
	ctx = finishing(ctx)
	if j.dryRun || j.result.Operation == "" {
		return goOn
	}
	if kind, _ := j.op.Deletes(); kind != "" && j.result.Outcome == events.Applied {
		if err := w.keys.ForgetID(ctx, w.cloud, kind, j.deletedID()); err != nil {
			w.log.WarnContext(ctx, "the external key of a deleted object could not be freed; it is freed when it is used", "cloud", w.cloud,
				"operation", j.op.Name, "error", err)
		}
	}
	// A result from the ledger is this command's, so a reservation by it is over, whoever made it.
	remembered := j.conclusion.outcome == ""
	if j.key.name == "" || !j.key.held && !remembered {
		return goOn
	}
	err := retryUntilStopped(ctx, func(ctx context.Context) error {
		if j.result.Outcome == events.Applied && !j.result.Existing {
			return w.keys.Complete(ctx, w.cloud, j.key.kind(), j.key.name, j.cmd.Identity(), firstOf(j.record.Made))
		}
		return w.keys.Release(ctx, w.cloud, j.key.kind(), j.key.name, j.cmd.Identity())
	})
	if err != nil {
		return j.fail(err)
	}
	crashpoint("after-key-settled")
	return goOn
}

// deletedID is the id of the object that a command deletes.
func (j *job) deletedID() string {
	_, field := j.op.Deletes()
	if id := j.record.Refs["/"+field]; id != "" {
		return id
	}
	var fields map[string]json.RawMessage
	var id string
	_ = json.Unmarshal(j.data, &fields) // the data is an object: a call was made of it
	_ = json.Unmarshal(fields[field], &id)
	return id
}

// freeKeys frees external keys whose objects factro does not know. A 404 alone does not say which object is missing, so factro is asked
// for each. A create that was carried out as an update of such an object is made after all.
func (w *Worker) freeKeys(ctx context.Context, j *job) finding {
	refused := j.answer
	freed := false
	for pointer, e := range j.suspects() {
		gone, err := w.isGone(ctx, j, pointer, e)
		switch {
		case errors.Is(err, errStopped):
			return j.stop(err)
		case err != nil:
			w.log.WarnContext(ctx, "factro does not tell whether the object of an external key exists; the key is kept", "cloud", w.cloud,
				"operation", j.op.Name, "event_id", j.cmd.Event.ID(), "error", err)
			continue
		case !gone:
			continue
		}
		if err := w.keys.Forget(finishing(ctx), w.cloud, e); err != nil {
			return j.fail(err)
		}
		w.log.InfoContext(ctx, "factro does not know the object of an external key; the key is free", "cloud", w.cloud, "resource", e.Kind, "resource_id", e.ID)
		freed = freed || pointer == ""
	}
	if !freed || j.attempts >= maxAttempts {
		return j.conclude(events.Rejected, refused, refused.Refusal())
	}
	if err := w.recordNoEffect(finishing(ctx), j); err != nil {
		return j.fail(err)
	}
	j.op, j.key.entry = j.key.create, keys.Entry{}
	if err := j.makeCall(j.record.Refs); err != nil {
		return j.reject(coreapi.Mistaken(err))
	}
	return keyed
}

// suspects are the objects that a refused call has named by external keys, by the pointers of the keys. The object that the create
// itself updates has the pointer "".
func (j *job) suspects() map[string]keys.Entry {
	all := map[string]keys.Entry{}
	for _, ref := range j.refs {
		if e, known := j.named[ref.Pointer]; known {
			all[ref.Pointer] = e
		}
	}
	if j.key.updating() {
		all[""] = j.key.entry
	}
	return all
}

// isGone asks factro whether it knows an object. Where there is no operation for that, the refused call is the answer, if it named
// only this object in its path.
func (w *Worker) isGone(ctx context.Context, j *job, pointer string, e keys.Entry) (bool, error) {
	op, field, known := factro.ReaderOf(e.Kind)
	if !known {
		alone := pointer == "" && strings.Count(j.op.Path, "{") == 1
		for _, ref := range j.refs {
			alone = alone || ref.Pointer == pointer && ref.InPath(j.op)
		}
		return alone, nil
	}
	id, err := json.Marshal(e.ID)
	if err != nil {
		return false, err
	}
	_, err = w.readWithRetries(ctx, j, op.Name, map[string]json.RawMessage{field: id}, discard)
	if no, ok := errors.AsType[*refusedError](err); ok {
		return no.status == http.StatusNotFound, nil
	}
	return false, err
}

// existingResource is the object that has the create's external key.
func (w *Worker) existingResource(j *job) *events.Resource {
	kind, id := j.key.kind(), j.key.entry.ID
	return &events.Resource{Type: kind, ID: id, URL: factro.WebLink(w.webOrigin, w.mandant.get(), kind, id)}
}

func nameless(e keys.Entry) *events.Error {
	return &events.Error{Code: events.CodeUnknownKey, Message: fmt.Sprintf(
		"a %s was created with this external key, but factro did not tell its id; look for it in factro and set it with bridge keys set", e.Kind)}
}

func firstOf(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return ids[0]
}

// discard reads an answer whose status alone counts.
func discard(body io.Reader) error {
	_, err := io.Copy(io.Discard, io.LimitReader(body, coreapi.MaxErrorText))
	return err
}
