package journal_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
)

// TestTraceID: the trace of the current hop counts, or else that of the origin.
func TestTraceID(t *testing.T) {
	t.Parallel()
	const hop, origin = "00-11111111111111111111111111111111-2222222222222222-01", "00-33333333333333333333333333333333-4444444444444444-01"
	for name, test := range map[string]struct {
		header nats.Header
		want   string
	}{
		"both":        {nats.Header{"traceparent": {hop}, "ce-traceparent": {origin}}, strings.Repeat("1", 32)},
		"hop only":    {nats.Header{"traceparent": {hop}}, strings.Repeat("1", 32)},
		"origin only": {nats.Header{"ce-traceparent": {origin}, "ce-tracestate": {"a=b"}}, strings.Repeat("3", 32)},
		"none":        {nats.Header{}, ""},
		"nonsense":    {nats.Header{"traceparent": {"x"}}, ""},
	} {
		if got := (journal.Message{Header: test.header}).TraceID(); got != test.want {
			t.Errorf("%s: trace %q, want %q", name, got, test.want)
		}
	}
}
