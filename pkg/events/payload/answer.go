package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// ErrNoAnswer says that there is no answer to decode: factro sent none, null or no JSON, or, in a result, one of more than
// 512 KiB, which the bridge leaves out.
var ErrNoAnswer = errors.New("there is no answer from factro")

// answer decodes the answer of a result, if it is one of that operation that was applied.
func answer[T any](r events.Result, operation string) (T, error) {
	var v T
	switch {
	case r.Operation != operation:
		return v, fmt.Errorf("the result is one of %s, want %s", binding.Quote(r.Operation), operation)
	case r.Outcome != events.Applied:
		return v, fmt.Errorf("%s was not applied but %s", operation, r.Outcome)
	case r.DryRun:
		return v, fmt.Errorf("answer of %s: a dry run calls nobody: %w", operation, ErrNoAnswer)
	case len(r.Response) == 0, string(bytes.TrimSpace(r.Response)) == "null":
		return v, fmt.Errorf("answer of %s: %w", operation, ErrNoAnswer)
	}
	if err := unmarshal(r.Response, &v); err != nil {
		var none T
		return none, fmt.Errorf("answer of %s: %w", operation, err)
	}
	return v, nil
}

// unmarshal is [json.Unmarshal], but a number of no type of its own keeps all its digits, as a [json.Number].
func unmarshal(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("json: there is more than one value")
	}
	return nil
}

// queryAnswer decodes the answer to a query of that operation.
func queryAnswer[T any](r io.Reader, operation string) (T, error) {
	var v, none T
	data, err := io.ReadAll(r)
	switch {
	case err != nil:
		return none, fmt.Errorf("answer of %s: %w", operation, err)
	case len(bytes.TrimSpace(data)) == 0, string(bytes.TrimSpace(data)) == "null":
		return none, fmt.Errorf("answer of %s: %w", operation, ErrNoAnswer)
	}
	if err := unmarshal(data, &v); err != nil {
		return none, fmt.Errorf("answer of %s: %w", operation, err)
	}
	return v, nil
}
