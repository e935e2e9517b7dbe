package egress

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestBrokerRefuses: a message that the broker refuses for good, or again and again, must not block the commands behind it.
func TestBrokerRefuses(t *testing.T) {
	t.Parallel()
	refused, refusing := fmt.Errorf("publish: %w", publish.ErrRefused), fmt.Errorf("publish: %w", publish.ErrRefusing)
	for name, tt := range map[string]struct {
		cmd     events.Command
		step    string
		err     error
		verdict string // its type
		sent    int
		log     string
	}{
		"result for good":            {create(), "publish applied", refused, "<nil>", 0, "it is not published"},
		"result again and again":     {create(), "publish applied", refusing, "*commands.pending", 0, "command finished"},
		"rejection for good":         {command("createTask", `{}`), "publish rejected", refused, "*commands.terminal", 0, "it is not published"},
		"rejection again and again":  {command("createTask", `{}`), "publish rejected", refusing, "*commands.pending", 0, "command finished"},
		"record for good":            {create(), "finish", refused, "<nil>", 1, "refuses the ledger's record"},
		"record again and again":     {create(), "finish", refusing, "<nil>", 1, "refuses the ledger's record"},
		"a result that is too large": {create(), "publish applied", events.ErrTooLarge, "<nil>", 0, "it is not published"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, apitest.Always(apitest.OK(`{"id":"t-9"}`)))
				r.stores.fail = func(step string) error {
					if step == tt.step {
						return tt.err
					}
					return nil
				}
				verdict := r.do(tt.cmd)
				if got := fmt.Sprintf("%T", verdict); got != tt.verdict {
					t.Errorf("the verdict is %s %v, want %s", got, verdict, tt.verdict)
				}
				if tt.verdict == "*commands.pending" && !errors.Is(verdict, publish.ErrRefusing) {
					t.Errorf("the verdict does not say why: %v", verdict)
				}
				if _, letter := commands.LetterOf(verdict); letter != strings.HasPrefix(name, "rejection") {
					t.Errorf("the verdict has a dead letter: %t", letter)
				}
				if len(r.stores.sent) != tt.sent || !strings.Contains(r.log.String(), tt.log) {
					t.Errorf("%d results, want %d; the log is\n%s", len(r.stores.sent), tt.sent, r.log)
				}
			})
		})
	}
}

// smallLedger accepts no record with a log.
type smallLedger struct{ *fakeStores }

func (l smallLedger) Save(ctx context.Context, cloud, id string, r ledger.Record) (ledger.Record, error) {
	if len(r.Log) > 0 {
		return r, events.ErrTooLarge
	}
	return l.fakeStores.Save(ctx, cloud, id, r)
}

// TestLedgerWithoutLog: a record that is too large for the ledger is saved without its log. The dead letter has the log.
func TestLedgerWithoutLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Always(apitest.Reply{Status: 400, Body: `{"message":"no"}`}))
		r.w.ledger = smallLedger{r.stores}
		verdict := r.do(create())
		r.wantDone(verdict, events.Rejected, events.CodeRefused)
		if letter, ok := commands.LetterOf(verdict); !ok || len(letter.Log) != 1 {
			t.Errorf("the dead letter is %+v", letter)
		}
		if have := r.stores.ledger[ledgerEntry]; have.Result == nil {
			t.Errorf("the record is %+v", have)
		}
	})
}

// TestUndeliverableRefused: a command that the broker gave up is not delivered again if its result cannot be published.
func TestUndeliverableRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, apitest.Always(apitest.OK("{}")))
	r.stores.fail = func(string) error { return publish.ErrRefused }
	if err := r.w.Undeliverable(t.Context(), create(), nil, errors.New("given up")); err != nil {
		t.Errorf("it comes back: %v", err)
	}
	r.stores.fail = func(string) error { return errors.New("no leader") }
	if err := r.w.Undeliverable(t.Context(), create(), nil, errors.New("given up")); err == nil {
		t.Error("the sender got no result")
	}
}
