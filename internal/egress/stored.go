package egress

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// maxRecord bounds one stored payload, in bytes. The list of them has no end, a record has.
const maxRecord = 8 << 20

var errNotList = &formError{"something that is no list"}

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
	key, o := a.admit(ctx)
	if o.code != "" {
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
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	got, j := a.exchange(ctx, attempt{op: stored, number: 1, take: func(body io.Reader) error {
		return records(body, each)
	}}, call, key)
	switch {
	case got.ours != nil:
		return fmt.Errorf("stored payloads: %w", got.ours)
	case j != done:
		return fmt.Errorf("stored payloads: %s", outcomeText(got))
	}
	return nil
}

// records takes a list apart, element by element: a list at factro has no pages and may have no end worth keeping. It must
// be whole: a part of it would look as if nothing else were there.
func records(body io.Reader, each func(record []byte) error) error {
	limited := &allowance{r: body, left: maxRecord}
	d := json.NewDecoder(limited)
	if first, err := d.Token(); err != nil && !errors.Is(err, io.EOF) {
		return jsonError(err)
	} else if first != json.Delim('[') {
		return errNotList
	}
	for d.More() {
		var record json.RawMessage
		if err := d.Decode(&record); err != nil {
			return jsonError(err)
		}
		limited.left = maxRecord
		if err := each(record); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return jsonError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return cmp.Or(jsonError(err), error(errNotJSON))
	}
	return nil
}

// allowance is a reader that fails when more was read of it than was allowed. It fills what it is given to read into: a
// JSON decoder looks at a blank again after each read, so that small reads of many blanks would take it for ever.
type allowance struct {
	r    io.Reader
	left int
}

var errRecordTooLarge = &formError{fmt.Sprintf("a part of more than %d bytes", maxRecord)}

func (a *allowance) Read(p []byte) (n int, err error) {
	if a.left <= 0 {
		return 0, errRecordTooLarge
	}
	p = p[:min(len(p), a.left)]
	for n < len(p) && err == nil {
		var more int
		more, err = a.r.Read(p[n:])
		n += more
	}
	a.left -= n
	return n, err
}
