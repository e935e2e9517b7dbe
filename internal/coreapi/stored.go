package coreapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/budget"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/shape"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// stored is the operation that lists the stored payloads (documented).
var stored = func() factro.Operation {
	op, ok := factro.Lookup("listWebhookPayloads")
	if !ok {
		panic("egress: the table of operations has no listWebhookPayloads")
	}
	return op
}()

// Stored reads factro's stored payloads since a time and hands over each record as it comes, in whatever order factro
// sends them. The secrets of webhooks are taken out. Only one record is held at a time.
//
// It counts as a query: it takes its share of the request budget behind the commands and asks nothing while factro
// throttles, fails or refuses the key. After an error each may have got some of the records or none; its own error ends
// the reading. The form of the time, ISO 8601 in UTC with milliseconds, is the public SDK's assumption.
func (a *API) Stored(ctx context.Context, since time.Time, each func(record []byte) error) error {
	key, o := a.AcquireFor(ctx, budget.Reconcile)
	if o.Code != "" {
		return fmt.Errorf("stored payloads: %w", a.explain(o))
	}
	data, err := json.Marshal(map[string]string{"startDate": since.UTC().Format("2006-01-02T15:04:05.000Z")})
	if err != nil {
		return fmt.Errorf("stored payloads: %w", err)
	}
	call, err := translate.Command(stored, data)
	if err != nil {
		return fmt.Errorf("stored payloads: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	got, j := a.Exchange(ctx, Attempt{Op: stored, Number: 1, Take: func(body io.Reader) error {
		return shape.Records(body, each)
	}}, call, key)
	switch {
	case got.Ours != nil:
		return fmt.Errorf("stored payloads: %w", got.Ours)
	case j != Done:
		return fmt.Errorf("stored payloads: %s", got.Text())
	}
	return nil
}
