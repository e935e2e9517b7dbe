package persist

import (
	"context"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/egress/search"
)

// Ledger keeps commands, and the objects that they made, across crashes. A commandID is the identity of a command. For a command
// that an older bridge began, it is the id.
type Ledger interface {
	ledgerReads
	ledgerWrites
	ledgerClaims
}

type ledgerReads interface {
	// Begin records that a command is about to be carried out, or returns its record.
	Begin(ctx context.Context, cloud, commandID string, r ledger.Record) (known bool, have ledger.Record, err error)
	// Look returns the record of a command.
	Look(ctx context.Context, cloud, commandID string) (known bool, have ledger.Record, err error)
	// LookFormer returns the record that an older bridge has written for a command with this id, of any source.
	LookFormer(ctx context.Context, cloud, id string) (known bool, have ledger.Record, err error)
}

type ledgerWrites interface {
	// Save replaces a record that Begin, Look or Save has returned. The error is ledger.ErrTaken if somebody else has replaced it.
	Save(ctx context.Context, cloud, commandID string, r ledger.Record) (ledger.Record, error)
	// Forget deletes a record.
	Forget(ctx context.Context, cloud, commandID string, r ledger.Record) error
}

type ledgerClaims interface {
	// Claim records that a command made an object. It reports whether the object belongs to this command.
	Claim(ctx context.Context, cloud, resource, objectID, commandID string) (mine bool, err error)
	search.Records
}
