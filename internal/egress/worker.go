package egress

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/egress/batch"
	"github.com/factro-bridge/factro-bridge/internal/egress/content"
	"github.com/factro-bridge/factro-bridge/internal/egress/delay"
	"github.com/factro-bridge/factro-bridge/internal/egress/inflight"
	"github.com/factro-bridge/factro-bridge/internal/egress/meter"
	"github.com/factro-bridge/factro-bridge/internal/egress/persist"
	"github.com/factro-bridge/factro-bridge/internal/externalkey"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

// Results publishes the results of commands.
type Results interface {
	// Publish returns when the result is stored. The id makes repeated calls harmless.
	Publish(ctx context.Context, subject string, e event.Event, id string) error
	// Reply sends a copy to a subject that the sender named.
	Reply(ctx context.Context, subject string, e event.Event) error
}

// Config has the settings of a worker, apart from its connection to factro.
type Config struct {
	// Prefix is the first token of the subjects.
	Prefix events.Prefix
	// ReplyPrefixes are the prefixes of subjects that may get copies of results, in addition to inboxes.
	ReplyPrefixes []string
	// Refuses returns why the operator does not let an operation of a source through, or "". It may be nil.
	Refuses func(operation, source string) string
	// Batch is how many commands of one kind may be carried out by one call, where factro does all of them or none; below 2 each has a
	// call of its own.
	Batch int
}

// Stores are where a worker keeps results, records and external keys, and where it finds the files of commands.
type Stores struct {
	Results Results
	Ledger  persist.Ledger
	Files   content.Files
	Delayed delay.Store
	Keys    externalkey.Keys
	Queue   externalkey.Queue // may be nil
}

// Worker carries out the commands of one cloud, several at once. It is a commands.Worker.
type Worker struct {
	api       *coreapi.API
	cfg       Config
	cloud     string
	log       *slog.Logger
	results   Results
	ledger    persist.Ledger
	files     content.Files
	delays    *delay.Delays
	external  *externalkey.Commands
	metrics   *meter.Metrics
	replies   *publish.Replies
	id        string // identifies this worker in the ledger
	webOrigin string
	mandant   coreapi.AgreedValue // the mandant's id, once an answer contained it
	concluded atomic.Int64
	inFlight  inflight.All
	batches   *batch.Caller
}

// New builds the worker of the cloud that the API belongs to.
func New(api *coreapi.API, cfg Config, stores Stores, log *slog.Logger) (*Worker, error) {
	w := &Worker{
		api: api, cfg: cfg, cloud: api.Cloud(), log: log, results: stores.Results, ledger: stores.Ledger, files: stores.Files,
		delays:   delay.New(api.Cloud(), stores.Delayed, stores.Ledger, externalkey.FingerprintOf, log),
		external: externalkey.New(api.Cloud(), stores.Keys, stores.Ledger, stores.Queue),
		id:       rand.Text(), webOrigin: api.Origin(),
	}
	var err error
	if w.metrics, err = meter.New(w.cloud); err != nil {
		return nil, err
	}
	if w.batches, err = batch.New(api, cfg.Batch, log); err != nil {
		return nil, err
	}
	w.replies, err = publish.CommandReplies(w.cloud, cfg.ReplyPrefixes, log)
	return w, err
}

// Ready waits until a command may be pulled. While the breaker is open, the budget is used up or the key is bad, commands stay in
// the stream.
func (w *Worker) Ready(ctx context.Context) error {
	w.metrics.StartAtZero(ctx)
	return w.api.Pass(ctx, nil)
}

// Pace is how many calls a second are allowed, and how long the latest answers took.
func (w *Worker) Pace() (perSecond float64, answer time.Duration) { return w.api.Pace() }

// Cancel cancels a delayed command. See [delay.Delays.Cancel].
func (w *Worker) Cancel(ctx context.Context, source, id string) (notbefore.CancelState, error) {
	return w.delays.Cancel(ctx, source, id)
}

// Concluded counts the deliveries that ended with a stored final result.
func (w *Worker) Concluded() int64 { return w.concluded.Load() }
