package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
)

// Conn is what reading needs of the connection to NATS.
type Conn interface {
	JetStream() jetstream.JetStream
	Settings() bus.Config
	// Refused is why the server lets nobody with these credentials publish to a subject, nil if it has not refused that.
	Refused(subject string) error
}

// Reader reads streams.
type Reader struct{ conn Conn }

// On returns a reader on a connection.
func On(conn Conn) Reader { return Reader{conn} }

// Span is what a stream has.
type Span struct {
	Messages    uint64
	First, Last uint64
	// Since is when the stream took the first of them, and Until the last. Both are zero if it is empty.
	Since, Until time.Time
}

// Dense says whether most of the sequences are there.
func (s Span) Dense() bool { return s.Messages > 0 && s.Last-s.First < 2*s.Messages }

const (
	// lookFor is how long a look at a stream may take, and answerFor how long the next message of an answer.
	lookFor, answerFor = 5 * time.Second, 10 * time.Second
	// refusedEvery is how often is looked whether a request was refused, which is then never answered.
	refusedEvery = 50 * time.Millisecond
)

// Errors of requests that get no message.
var (
	errSilent = errors.New("the broker does not answer")
	errAnswer = errors.New("the broker ended its answer early")
)

// Span looks at a stream. The error wraps jetstream.ErrStreamNotFound if there is none.
func (r Reader) Span(ctx context.Context, stream string) (Span, error) {
	ctx, stop := r.unlessRefused(ctx, r.conn.Settings().API("STREAM.INFO."+stream), lookFor)
	defer stop()
	s, err := r.conn.JetStream().Stream(ctx, stream)
	if err != nil {
		return Span{}, fmt.Errorf("look at stream %s: %w", stream, because(ctx, err))
	}
	state := s.CachedInfo().State
	span := Span{Messages: state.Msgs, First: state.FirstSeq, Last: state.LastSeq}
	if state.Msgs > 0 {
		span.Since, span.Until = state.FirstTime, state.LastTime
	}
	return span, nil
}

// unlessRefused ends a context when a request is refused, or after a time.
func (r Reader) unlessRefused(ctx context.Context, subject string, limit time.Duration) (_ context.Context, stop func()) {
	ctx, end := context.WithCancelCause(ctx)
	limited, cancel := context.WithTimeoutCause(ctx, limit, errSilent)
	done := make(chan struct{})
	go func() {
		defer close(done)
		look := time.NewTicker(refusedEvery)
		defer look.Stop()
		for {
			select {
			case <-limited.Done():
				return
			case <-look.C:
				if err := r.conn.Refused(subject); err != nil {
					end(err)
					return
				}
			}
		}
	}()
	return limited, func() { cancel(); end(nil); <-done }
}

// because is why a context has ended, if it has.
func because(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil {
		return why
	}
	return err
}

// request is a direct get. Fields that are not set are left out.
type request struct {
	Sequence uint64     `json:"seq,omitempty"`
	Since    *time.Time `json:"start_time,omitempty"`
	Subject  string     `json:"next_by_subj,omitempty"`
	LastOf   string     `json:"last_by_subj,omitempty"`
	Batch    int        `json:"batch,omitempty"`
	MaxBytes int        `json:"max_bytes,omitempty"`
}

// ask makes a request, and calls each for every message of the answer until it returns false. pending is how many are left behind the
// answer to a batch.
func (r Reader) ask(ctx context.Context, stream string, what request, each func(Message) bool) (pending uint64, err error) {
	text, err := json.Marshal(what)
	if err != nil {
		return 0, err
	}
	subject := r.conn.Settings().API("DIRECT.GET." + stream)
	ctx, stop := r.unlessRefused(ctx, subject, answerFor)
	defer stop()
	nc := r.conn.JetStream().Conn()
	inbox := nc.NewInbox()
	answer := make(chan *nats.Msg, max(what.Batch, 1)+1) // the whole answer: the client drops what has no place
	sub, err := nc.ChanSubscribe(inbox, answer)
	if err != nil {
		return 0, err
	}
	defer func() { _ = sub.Unsubscribe() }() // an error says that it is gone already
	if err := nc.PublishRequest(subject, inbox, text); err != nil {
		return 0, err
	}
	for {
		var msg *nats.Msg
		select {
		case msg = <-answer:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		m, ok := read(msg)
		if !ok {
			return ended(msg, what.Batch > 0)
		}
		if !each(m) || what.Batch == 0 {
			return 0, nil
		}
	}
}

// ended reads the last message of an answer.
func ended(msg *nats.Msg, batch bool) (pending uint64, err error) {
	switch status := msg.Header.Get("Status"); {
	case status == "404":
		return 0, nil
	case status == "503": // no such stream, or it allows no direct get
		return 0, nats.ErrNoResponders
	case status == "204" && batch:
		if _, err := fmt.Sscan(last(msg.Header["Nats-Num-Pending"]), &pending); err != nil {
			return 0, fmt.Errorf("%w: how much is left: %w", errAnswer, err)
		}
		return pending, nil
	default:
		return 0, fmt.Errorf("%w: %s %s", errAnswer, status, msg.Header.Get("Description"))
	}
}
