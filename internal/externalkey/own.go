package externalkey

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Own is the external key that a create gives its object. The zero value is that of a command without one.
type Own struct {
	// Name is the key; empty if the command has none.
	Name string
	// Update says that the object is updated if it exists.
	Update bool
	// Create is the command's operation.
	Create factro.Operation
	// Entry is the entry of an object that exists; its ID is empty if there is none.
	Entry keys.Entry

	upsert factro.Upsert
	held   bool // the command has reserved the key
}

// Read reads the attributes of a command that are about its external key.
func Read(e event.Event) (Own, *events.Error) {
	var own Own
	wrong := func(format string, args ...any) (Own, *events.Error) {
		return Own{}, &events.Error{Code: events.CodeInvalid, Message: fmt.Sprintf(format, args...)}
	}
	extensions := e.Extensions()
	value, given := extensions[attr.ExternalKey]
	name, isText := value.(string)
	switch {
	case !given:
	case !isText:
		return wrong("attribute externalkey is a %T, want a string", value)
	case translate.BadKey(name) != "":
		return wrong("attribute externalkey is %s", translate.BadKey(name))
	default:
		own.Name = name
	}
	conflict, said := extensions[attr.OnConflict]
	switch {
	case !said:
	case !given:
		return wrong("attribute onconflict is set, but there is no externalkey for it")
	case conflict == attr.OnConflictUpdate:
		own.Update = true
	case conflict != attr.OnConflictExisting:
		return wrong("attribute onconflict is %.80q, want %q or %q", fmt.Sprint(conflict), attr.OnConflictExisting, attr.OnConflictUpdate)
	}
	return own, nil
}

// Makes is the key of the object that a command creates under an external key, "" if it creates none under one.
func Makes(cmd events.Command) string {
	own, wrong := Read(cmd.Event)
	op, known := factro.Lookup(cmd.Operation)
	if wrong != nil || own.Name == "" || !known || op.Makes() == "" {
		return ""
	}
	return factro.NamedKey(op.Makes(), own.Name)
}

// Lane is the key of what a command changes, or creates under an external key; "" if it is in order with no other command.
func Lane(cmd events.Command) string {
	if made := Makes(cmd); made != "" {
		return made
	}
	op, known := factro.Lookup(cmd.Operation)
	if !known {
		return ""
	}
	return op.LaneKey(cmd.Event.Data())
}

// Check says why an operation with this data can have no external key, or cannot become an update.
func (o *Own) Check(op factro.Operation, data []byte) *events.Error {
	if o.Name == "" {
		return nil
	}
	o.Create = op
	if op.Makes() == "" {
		return &events.Error{Code: events.CodeInvalid, Message: fmt.Sprintf("attribute externalkey is set, but %s creates no single object", op.Name)}
	}
	if !o.Update {
		return nil
	}
	var known bool
	if o.upsert, known = op.Upsert(); !known {
		return &events.Error{Code: events.CodeInvalid, Message: fmt.Sprintf("attribute onconflict is update, but factro has no update for what %s creates", op.Name)}
	}
	if err := translate.NotUpdated(o.upsert, data); err != nil {
		return coreapi.Mistaken(err)
	}
	return nil
}

// Existing says whether the object exists.
func (o *Own) Existing() bool { return o.Entry.ID != "" }

// Updating says whether the command is carried out as an update.
func (o *Own) Updating() bool { return o.Existing() && o.Update }

// Kind is the kind of the object that the command creates.
func (o *Own) Kind() string { return o.Create.Makes() }

// Identify adds the key to what tells commands apart.
func (o *Own) Identify(text []byte) []byte {
	if o.Name == "" {
		return text
	}
	return fmt.Appendf(text, "\n%t %q", o.Update, o.Name)
}

// Fingerprint identifies the operation, the data and the external key of a command. It does not depend on how the JSON is formatted.
func (o *Own) Fingerprint(operation string, data []byte) (string, error) {
	canonical, err := jsontext.Canonical(data)
	if err != nil {
		return "", err
	}
	return o.FingerprintData(operation, canonical), nil
}

// FingerprintData is the Fingerprint for data that is in its canonical form already.
func (o *Own) FingerprintData(operation string, canonical []byte) string {
	sum := sha256.Sum256(o.Identify(append([]byte(operation+"\n"), canonical...)))
	return hex.EncodeToString(sum[:])
}

// FingerprintOf is the fingerprint of a command.
func FingerprintOf(cmd events.Command) (string, error) {
	own, wrong := Read(cmd.Event)
	if wrong != nil {
		return "", errors.New(wrong.Message)
	}
	return own.Fingerprint(cmd.Operation, cmd.Event.Data())
}

// Call is the update of the existing object that the create with this data becomes.
func (o *Own) Call(data []byte) (factro.Operation, translate.Call, error) {
	call, err := translate.Update(o.upsert, data, o.Entry.ID)
	return o.upsert.Update, call, err
}

// Lost forgets the existing object, which factro does not know, so that the command creates its own.
func (o *Own) Lost() factro.Operation {
	o.Entry = keys.Entry{}
	return o.Create
}
