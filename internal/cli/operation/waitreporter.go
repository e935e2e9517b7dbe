package operation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/statustext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// WaitReporter prints what a command waits for, line by line.
type WaitReporter struct {
	client *client.Client
	prefix events.Prefix
	cloud  string

	asking sync.WaitGroup
	mu     sync.Mutex // guards notes and last
	notes  io.Writer
	last   string
}

// NewWaitReporter makes a reporter that prints on notes what a command of a cloud waits for.
func NewWaitReporter(client *client.Client, p events.Prefix, cloud string, notes io.Writer) *WaitReporter {
	return &WaitReporter{client: client, prefix: p, cloud: cloud, notes: notes}
}

// Report prints what the bridge says if it has changed. It does not block the caller.
func (w *WaitReporter) Report(ctx context.Context, s status.Status, err error) {
	if err == nil {
		w.print(statustext.Waiting(s))
		return
	}
	// The broker may know more: if the user may read the consumer, it shows whether any bridge takes commands.
	w.asking.Go(func() { w.print(w.explainNoStatus(ctx, err)) })
}

// End waits until everything is printed. The context of Report must have ended.
func (w *WaitReporter) End() { w.asking.Wait() }

func (w *WaitReporter) print(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if text == "" || text == w.last {
		return
	}
	w.last = text
	fmt.Fprintln(w.notes, "bridge:", text)
}

// guessDelay is the delay before a guess is printed.
const guessDelay = time.Second

// explainNoStatus says what is known if no bridge reports what a command waits for. It returns "" if the wait has ended.
func (w *WaitReporter) explainNoStatus(ctx context.Context, err error) string {
	if e, ok := errors.AsType[*events.Error](err); ok {
		return "what the command waits for is not known: " + e.Message
	}
	began := time.Now()
	served, lookErr := w.client.Served(ctx, w.prefix, w.cloud)
	if ctx.Err() == nil && lookErr == nil && !served {
		return fmt.Sprintf("nobody takes commands of the cloud %s at the moment: no bridge with the role egress runs, or it waits for factro; "+
			"the command waits in the stream", w.cloud)
	}
	select { // an older bridge may have carried it out by then
	case <-time.After(guessDelay - time.Since(began)):
	case <-ctx.Done():
		return ""
	}
	switch {
	case lookErr == nil && natserr.NobodyAnswers(err):
		return fmt.Sprintf("what the command waits for is not known: a bridge took commands of the cloud %s a moment ago, and does not answer; it has "+
			"ended, or it is one before contract 3.0", w.cloud)
	case lookErr == nil:
		return "what the command waits for is not known: the bridge does not say so in time"
	case natserr.NobodyAnswers(err):
		return fmt.Sprintf("nobody says what the command waits for: no bridge with the role egress runs for the cloud %s, or it is one before "+
			"contract 3.0, or %s is not open to this user; the command waits in the stream", w.cloud, w.prefix.Status(w.cloud))
	}
	return fmt.Sprintf("nobody says what the command waits for; perhaps this user may not ask on %s", w.prefix.Status(w.cloud))
}
