package batch

import (
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// maxElement is the largest data of a command that goes together with others. Common servers take bodies of 100 KB and more.
const maxElement = 32 << 10

// Key is what commands have in common that one call can carry out: the operation for the list, and what stands in its path. It is empty
// for a command that is carried out alone: there is no such operation, it has external keys, is a dry run, is delayed, or an operator
// has sent it again.
func Key(cmd events.Command) string {
	op, known := factro.Lookup(cmd.Operation)
	if !known || op.Batched == nil || op.Resource != cmd.Resource || cmd.Redrive != "" || len(cmd.Event.Data()) > maxElement {
		return ""
	}
	for _, name := range []string{attr.ExternalKey, attr.OnConflict, attr.DryRun} {
		if _, has := cmd.Event.Extensions()[name]; has {
			return ""
		}
	}
	if early, has := cmd.Event.Extensions()[attr.NotBefore]; has {
		if at, err := types.ToTime(early); err != nil || time.Now().Before(at) {
			return ""
		}
	}
	data := cmd.Event.Data()
	fields, err := jsontext.Object(data)
	if err != nil {
		return ""
	}
	if refs, err := translate.KeyRefs(op, data); err != nil || len(refs) > 0 {
		return ""
	}
	by, _ := factro.Lookup(op.Batched.By)
	key := []string{by.Name}
	for _, p := range by.Params {
		id, isText := jsontext.String(string(fields[p.Field]))
		if !isText {
			return ""
		}
		key = append(key, id)
	}
	return strings.Join(key, "\x00")
}

// element is a command as an element of a list.
type element struct {
	fields map[string]json.RawMessage
	id     string // of what it changes
}

// elementOf makes an element of a command. It is false for one whose data has the property already that a parameter becomes.
func elementOf(op factro.Operation, data []byte) (element, bool) {
	e := element{}
	var err error
	if e.fields, err = jsontext.Object(data); err != nil || op.Batched == nil {
		return e, false
	}
	for _, n := range op.Batched.Names {
		if _, taken := e.fields[n.Element]; taken {
			return e, false
		}
		e.fields[n.Element] = e.fields[n.Field]
		delete(e.fields, n.Field)
	}
	if !op.Creates() {
		e.id = idOf(e.fields)
	}
	return e, op.Creates() || e.id != ""
}

func idOf(fields map[string]json.RawMessage) string {
	id, isText := jsontext.String(string(fields["id"]))
	if !isText {
		return string(fields["id"])
	}
	return id
}

// callOf makes the call for a list of elements, all of one key.
func callOf(by factro.Operation, all []element) (translate.Call, error) {
	data := map[string]json.RawMessage{}
	items := make([]map[string]json.RawMessage, len(all))
	for i, e := range all {
		items[i] = maps.Clone(e.fields)
		for _, p := range by.Params {
			data[p.Field] = e.fields[p.Field]
			delete(items[i], p.Field)
		}
	}
	var err error
	if data["items"], err = jsontext.Encode(items); err != nil {
		return translate.Call{}, err
	}
	text, err := jsontext.Encode(data)
	if err != nil {
		return translate.Call{}, err
	}
	return translate.Command(by, text)
}
