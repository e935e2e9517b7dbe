package echo

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Action is what a command does to its object.
type Action int

const (
	Updates Action = iota
	Creates
	Deletes
)

// Command is a command that was carried out, as far as one object goes.
type Command struct {
	// ID and Source are those of its event. Source is empty for a command without one.
	ID, Source string
	Operation  string
	Action     Action
	// Resource and EntityID name the object.
	Resource, EntityID string
	// Set are the fields of the object that the command has set. A nil value is not known.
	Set map[string]json.RawMessage
	// Answer is the whole object after the call, as factro answered it; nil if the answer has none.
	Answer json.RawMessage
	// Doubtful says that factro did not answer the call itself: what it did was found out later.
	Doubtful bool
	// StartedAt and FinishedAt enclose the call, by the clock of the bridge.
	StartedAt, FinishedAt time.Time
}

// FromResult reads from the event of a result what a command did to factro's objects. There is nothing for a command that was not
// carried out, and for one whose object is not known. A command for a list gives one for each object.
func FromResult(e event.Event) ([]Command, error) {
	r, err := events.ResultOf(e)
	if err != nil {
		return nil, err
	}
	op, known := factro.Lookup(r.Operation)
	if r.Outcome != events.Applied || r.DryRun || r.Status == 0 || !known || !op.Writes() {
		return nil, nil
	}
	if r.Existing { // the create was carried out as an update
		upsert, has := op.Upsert()
		if !has {
			return nil, nil
		}
		op = upsert.Update
	}
	c := Command{Operation: r.Operation, Resource: op.Entity(), Doubtful: r.Adopted, StartedAt: r.StartedAt, FinishedAt: r.StartedAt}
	c.ID, _ = e.Extensions()[attr.CausationID].(string)
	c.Source, _ = e.Extensions()[attr.CausationSource].(string)
	if r.FinishedAt != nil {
		c.FinishedAt = *r.FinishedAt
	}
	if c.ID == "" || c.Resource == "" {
		return nil, nil
	}
	kind, _ := op.Deletes()
	switch {
	case kind != "":
		return c.deletion(op, r), nil
	case op.Answer == factro.AnswerList:
		return c.list(op, r), nil
	}
	return c.single(op, r), nil
}

// deletion is the command of a result that says that an object is gone.
func (c Command) deletion(op factro.Operation, r events.Result) []Command {
	c.Action = Deletes
	if c.EntityID = objectID(op, r); c.EntityID == "" {
		return nil
	}
	if r.Status < 200 || r.Status > 299 {
		if r.Attempts < 2 {
			return nil // it was gone already
		}
		c.Doubtful = true // a call before, whose answer was lost, may have deleted it
	}
	return []Command{c}
}

// single is the command of a result about one object.
func (c Command) single(op factro.Operation, r events.Result) []Command {
	if op.Creates() {
		if !creates(op) {
			return nil
		}
		c.Action = Creates
	}
	if op.Answer == factro.AnswerObject && !r.Omitted {
		c.Answer = r.Response
	}
	if c.EntityID = objectID(op, r); c.EntityID == "" {
		return nil
	}
	set, _ := jsontext.Object(r.Set) // older bridges have none
	c.Set = known(op, set, r.SetOmitted)
	return []Command{c}
}

// creates says whether an operation always makes the object of its answer. A template may be applied to a project that exists.
func creates(op factro.Operation) bool { return strings.HasPrefix(op.Name, "create") }

// list are the commands of a result about several objects.
func (c Command) list(op factro.Operation, r events.Result) []Command {
	sets := map[string]map[string]json.RawMessage{}
	var order []string
	for _, item := range elements(r.Set) {
		fields, _ := jsontext.Object(item)
		if id, _ := jsontext.String(string(fields["id"])); id != "" {
			delete(fields, "id")
			sets[id], order = fields, append(order, id)
		}
	}
	var all []Command
	if r.Response == nil {
		if op.Batch != factro.BatchAtomic {
			return nil // some of them may have been refused
		}
		for _, id := range order {
			one := c
			one.EntityID, one.Set = id, known(op, sets[id], nil)
			all = append(all, one)
		}
		return all
	}
	if op.Creates() {
		c.Action = Creates
	}
	for _, item := range elements(r.Response) {
		one := c
		if one.EntityID = idIn(item); one.EntityID == "" {
			continue
		}
		one.Answer, one.Set = item, known(op, sets[one.EntityID], nil)
		all = append(all, one)
	}
	return all
}

// known adds the fields whose values are not known: those that were too large, and those that factro computes.
func known(op factro.Operation, set map[string]json.RawMessage, omitted []string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	add := func(name string, value json.RawMessage) {
		for _, computed := range op.ComputedOf(name) {
			if _, has := set[computed]; !has {
				out[computed] = nil
			}
		}
		out[name] = value
	}
	for name, value := range set {
		add(name, value)
	}
	for _, name := range omitted {
		add(name, nil)
	}
	return out
}

// objectID is the id of the object of a result: that in the answer, or that of the resource if the object is the resource.
func objectID(op factro.Operation, r events.Result) string {
	named := ""
	if r.Resource != nil && r.Resource.Type == op.Entity() {
		named = r.Resource.ID
	}
	if op.Answer != factro.AnswerObject || r.Response == nil {
		return named
	}
	answered := idIn(r.Response)
	switch {
	case named == "":
		return answered
	case answered == "" || answered == named:
		return named
	}
	return "" // the answer is about another object
}

func idIn(object json.RawMessage) string {
	values, err := jsontext.Properties(object, "id")
	if err != nil {
		return ""
	}
	id, _ := jsontext.String(string(values[0]))
	return id
}

func elements(list json.RawMessage) []json.RawMessage {
	var out []json.RawMessage
	if json.Unmarshal(list, &out) != nil {
		return nil
	}
	return out
}
