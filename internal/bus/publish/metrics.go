package publish

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// metrics are what publishing counts. The label sets of the hot path are made once: making them costs more than counting.
type metrics struct {
	published metric.Int64Counter
	took      metric.Float64Histogram // of a publish
	letters   metric.Int64Counter
	// duplicates are messages that a stream already had.
	duplicates metric.Int64Counter
	attrs      *sync.Map // destination and outcome -> metric.MeasurementOption
}

func newMetrics() (metrics, error) {
	b := instrument.New(measure.Scope)
	m := metrics{
		attrs: &sync.Map{},
		published: b.Counter("factro.bridge.published", "{message}",
			"Messages published to a stream, by destination and by whether the stream acknowledged them."),
		took: b.Seconds("factro.bridge.publish.duration",
			"From publishing a message to the stream's acknowledgement, or to giving up, repetitions included.", moments),
		letters: b.Counter("factro.bridge.dead.letters", "{message}",
			"Dead letters that were stored, by what they are of and by their code."),
		duplicates: b.Counter("factro.bridge.publish.duplicates", "{message}",
			"Messages whose id the stream knew already, by destination and reason: a retry of the bridge's own, a repetition, or an event with the id of another event, which gets an id of its own."),
	}
	return m, b.Err()
}

// moments are bounds of buckets, in seconds, of what is over in milliseconds.
var moments = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// sent measures a publish that ended, and counts the dead letter that it stored. The cloud of a dead letter is not a label:
// for one that the broker gave up it is whatever the sender wrote into the subject.
func (m metrics) sent(ctx context.Context, msg *nats.Msg, took time.Duration, err error) {
	outcome := "stored"
	if err != nil {
		outcome = "failed"
	}
	m.took.Record(ctx, took.Seconds(), m.publishedAttrs(measure.Destination(msg.Subject), outcome))
	if code := msg.Header[topology.HeaderDeadCode]; err == nil && len(code) == 1 {
		m.letters.Add(ctx, 1, letterOption(topology.SubjectToken(msg.Subject, 2), code[0]))
	}
}

// expect begins the counts that somebody watches at 0. The growth of a series that begins with its first case does not
// count that case.
func (m metrics) expect(ctx context.Context, prefix string, clouds []string) {
	for _, cloud := range clouds {
		for _, reason := range dupReasons {
			m.duplicates.Add(ctx, 0, dupOption(prefix+".event."+cloud, reason))
		}
	}
}

func letterOption(kind, code string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("kind", kind), attribute.String("code", code))
}

func (m metrics) publishedAttrs(kind, outcome string) metric.MeasurementOption {
	key := [2]string{kind, outcome}
	if v, ok := m.attrs.Load(key); ok {
		return v.(metric.MeasurementOption) //nolint:errcheck // nothing else is stored
	}
	v := metric.WithAttributeSet(attribute.NewSet(attribute.String("destination", kind), attribute.String("outcome", outcome)))
	m.attrs.Store(key, v)
	return v
}

// ExpectDeadLetters begins the count of dead letters of a kind and a code at 0, for whoever watches its growth.
func (p *Publisher) ExpectDeadLetters(kind, code string) {
	p.metrics.letters.Add(context.Background(), 0, letterOption(kind, code))
}
