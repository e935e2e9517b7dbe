package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// takeOverAttempts bounds how often the records are read again, since others write them.
const takeOverAttempts = 5

var errContended = errors.New("ledger: others write the records of unfinished commands all the time")

// unfinished is the record of a command that was begun and has no result.
type unfinished struct {
	Record
	at time.Time
}

// TakeOver makes owner the owner of the records of all commands of a cloud that were begun and have no result, of those that were
// written since a time. So no other bridge can finish these commands: one that stood still may get the answer to a call after this one
// has searched for what the call made.
func (l *Ledger) TakeOver(ctx context.Context, cloud, owner string, since time.Time) error {
	kv, err := l.bucket(ctx, cloud)
	if err != nil {
		return err
	}
	for range takeOverAttempts {
		others, err := l.unfinishedOf(ctx, cloud, owner, since)
		if err != nil {
			return err
		}
		lost := false
		for key, r := range others {
			r.Owner = owner
			value, err := json.Marshal(r.Record)
			if err != nil {
				return fmt.Errorf("ledger: %w", err)
			}
			_, err = l.writeOnce(ctx, cloud, func(ctx context.Context) (uint64, error) { return kv.Update(ctx, key, value, r.revision) })
			switch {
			case errors.Is(err, jetstream.ErrKeyExists), errors.Is(err, jetstream.ErrKeyRevisionMismatch):
				lost = true // it may be finished by now
			case err != nil:
				return fmt.Errorf("ledger: take over: %w", err)
			}
		}
		if !lost {
			return nil
		}
	}
	return errContended
}

// unfinishedOf are the records that others than owner may finish, by their keys.
func (l *Ledger) unfinishedOf(ctx context.Context, cloud, owner string, since time.Time) (map[string]unfinished, error) {
	all := map[string]unfinished{}
	err := l.readMade(ctx, cloud, since, func(m *made) {
		for key, r := range m.open {
			if r.Owner != owner && !r.at.Before(since) {
				all[key] = r
			}
		}
	})
	return all, err
}
