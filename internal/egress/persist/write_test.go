package persist_test

import (
	"context"
	"errors"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/egress/persist"
)

// TestUntilStopped: a write is repeated until it is stored or refused for good, and what was on its way when the bridge stopped is
// written again.
func TestUntilStopped(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	for name, tt := range map[string]struct {
		errs []error // of one attempt after the other
		want error
	}{
		"stored":         {[]error{nil}, nil},
		"away at first":  {[]error{away, nil}, nil},
		"another bridge": {[]error{away, ledger.ErrTaken}, ledger.ErrTaken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attempts := 0
			err := persist.UntilStopped(t.Context(), func(context.Context) error {
				attempts++
				return tt.errs[attempts-1]
			})
			if !errors.Is(err, tt.want) || attempts != len(tt.errs) {
				t.Errorf("it took %d attempts: %v", attempts, err)
			}
		})
	}
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		ctx, stop := context.WithCancel(t.Context())
		attempts := 0
		err := persist.UntilStopped(ctx, func(ctx context.Context) error {
			if attempts++; attempts == 1 {
				stop()
				<-ctx.Done()
			}
			return ctx.Err()
		})
		if err != nil || attempts != 2 {
			t.Errorf("it took %d attempts: %v", attempts, err)
		}
	})
	t.Run("stopped while away", func(t *testing.T) {
		t.Parallel()
		ctx, stop := context.WithCancel(t.Context())
		stop()
		err := persist.UntilStopped(ctx, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
}
