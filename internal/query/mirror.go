package query

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/lookup"
	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// Mirror is the copy of a cloud's objects in NATS.
type Mirror interface {
	// Find looks an object up. Its copy may be maxAge old.
	Find(ctx context.Context, resource, id string, maxAge time.Duration) lookup.Found
}

// mirrored answers a query from the mirror. found is false if factro is to be asked: also if it is gone, since factro says why in its own
// words, and while the queries are paused.
func (r *Reader) mirrored(ctx context.Context, maxAge time.Duration, op factro.Operation, call translate.Call) (a queries.Answer, found bool) {
	resource, reads := readBy(op)
	if maxAge <= 0 || !reads || r.api.PausedQueries(ctx).Code != "" {
		return a, false
	}
	id := call.Target[strings.LastIndexByte(call.Target, '/')+1:] // as it is, if it can be the name of a copy
	copied := r.mirror.Find(ctx, resource, id, maxAge)
	if copied.Outcome == lookup.Fresh && len(copied.Text) > r.answers.MaxAnswer() {
		copied.Outcome = lookup.Absent // it takes an object store, which factro's answer is streamed to
	}
	r.queries.looked(ctx, op, copied.Outcome)
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("factro.query.mirror", string(copied.Outcome)))
	if copied.Err != nil {
		r.log.DebugContext(ctx, "the mirror cannot answer a query; factro is asked", "cloud", r.api.Cloud(), "operation", op.Name, "error", copied.Err)
	}
	if copied.Outcome != lookup.Fresh {
		return a, false
	}
	return queries.Answer{Status: http.StatusOK, Data: copied.Text, Age: &copied.Age}, true
}

// readBy is the resource whose objects an operation reads one by one, by their ids. ok is false if it does not, or if they are not
// mirrored.
func readBy(op factro.Operation) (resource string, ok bool) {
	if op.Mirror == nil {
		return "", false
	}
	for _, name := range factro.MirroredResources() {
		if m, _ := factro.MirrorOf(name); m.Read.Name == op.Name {
			return name, true
		}
	}
	return "", false
}
