package externalkey

import (
	"context"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// maxChanges is how often a key may change while a command tries to reserve it.
const maxChanges = 8

// Reserve reserves the external key that a command gives its object, or finds the object that has it: then own.Existing. The other
// fields of the answer are as in Found.
func (c *Commands) Reserve(ctx context.Context, own *Own, owner keys.Owner) (Found, error) {
	last := keys.Entry{Kind: own.Kind()}
	for range maxChanges {
		have, mine, err := c.keys.Reserve(ctx, c.cloud, own.Kind(), own.Name, owner)
		switch {
		case err != nil:
			return Found{}, err
		case mine:
			own.held = true
			return Found{}, nil
		case have.ID != "":
			own.Entry = have
			return Found{}, nil
		case have.Nameless:
			return Found{Reason: nameless(have)}, nil
		case !have.Pending():
			continue // it was freed in between
		}
		pending, err := c.settleOwner(ctx, have)
		if err != nil {
			return Found{}, err
		}
		if last = have; pending {
			break
		}
	}
	return Found{Pending: &last}, nil
}

// Foresee finds out what Reserve would lead to, and writes nothing.
func (c *Commands) Foresee(ctx context.Context, own *Own) (Found, error) {
	have, known, err := c.keys.Look(ctx, c.cloud, own.Kind(), own.Name)
	switch {
	case err != nil, !known, have.Pending():
		return Found{}, err
	case have.Nameless:
		return Found{Reason: nameless(have)}, nil
	}
	own.Entry = have
	return Found{}, nil
}

func nameless(e keys.Entry) *events.Error {
	return &events.Error{Code: events.CodeUnknownKey, Message: fmt.Sprintf(
		"a %s was created with this external key, but factro did not tell its id; look for it in factro and set it with bridge keys set", e.Kind)}
}

// Settle gives the external key of a command that has ended the id of the object that was created, or frees it. remembered says that
// the result is that of an earlier delivery, so that a reservation by the command is over, whoever made it.
func (c *Commands) Settle(ctx context.Context, own *Own, command string, r events.Result, made []string, remembered bool) error {
	switch {
	case own.Name == "", !own.held && !remembered:
		return nil
	case r.Outcome == events.Applied && !r.Existing:
		return c.keys.Complete(ctx, c.cloud, own.Kind(), own.Name, command, first(made))
	}
	return c.keys.Release(ctx, c.cloud, own.Kind(), own.Name, command)
}

// Deleted frees the key of the object that a command has deleted.
func (c *Commands) Deleted(ctx context.Context, op factro.Operation, id string) error {
	kind, _ := op.Deletes()
	if kind == "" || id == "" {
		return nil
	}
	return c.keys.ForgetID(ctx, c.cloud, kind, id)
}

// Forget frees the key of an entry, unless the entry has changed.
func (c *Commands) Forget(ctx context.Context, e keys.Entry) error {
	return c.keys.Forget(ctx, c.cloud, e)
}
