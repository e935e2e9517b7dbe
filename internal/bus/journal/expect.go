package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus"
)

// Client is what the expectation of a message needs of a connection of the command line.
type Client interface {
	NATS() *nats.Conn
	Settings() bus.Config
	// Why adds to an error which permission the server has refused.
	Why(err error, subjects ...string) error
}

// Expectation waits for what a stream gets on one subject.
type Expectation struct {
	client  Client
	stream  string
	request string
}

const (
	// expectEvery is how often the stream is asked, at first and in the end.
	expectAtFirst, expectEvery = 10 * time.Millisecond, 500 * time.Millisecond
	// expectAnswer is how long the broker may take to answer. A request that is refused is never answered.
	expectAnswer = 3 * time.Second
)

// Expect looks whether a subject of a stream can be read. It is to be one that nobody used before: then what is sent there
// afterwards is not missed, and no clocks are compared.
//
// It makes no consumer. It needs the right to publish to $JS.API.DIRECT.GET.<stream>.<subject>, which tells nothing of other
// subjects.
func Expect(ctx context.Context, c Client, stream, subject string) (*Expectation, error) {
	e := &Expectation{client: c, stream: stream, request: c.Settings().API("DIRECT.GET." + stream + "." + subject)}
	if _, _, err := e.look(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// Next waits for the message, as long as ctx allows.
func (e *Expectation) Next(ctx context.Context) (Message, error) {
	for wait := expectAtFirst; ; wait = min(2*wait, expectEvery) {
		m, there, err := e.look(ctx)
		switch {
		case ctx.Err() != nil:
			return Message{}, e.why(ctx.Err())
		case there:
			return m, nil
		case err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrNoResponders): // it may be back soon
			return Message{}, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// look asks once whether there is a message.
func (e *Expectation) look(ctx context.Context) (m Message, there bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, expectAnswer)
	defer cancel()
	msg, err := e.client.NATS().RequestWithContext(ctx, e.request, nil)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return m, false, e.why(fmt.Errorf("read stream %s: it is not there, or it does not allow direct get (allow_direct): %w", e.stream, err))
	case err != nil:
		return m, false, e.why(fmt.Errorf("read stream %s: %w", e.stream, err))
	}
	// The broker's words come after those of the message itself, which anybody may have written.
	subjects, times := msg.Header["Nats-Subject"], msg.Header["Nats-Time-Stamp"]
	switch status := msg.Header.Get("Status"); {
	case len(subjects) > 0 && len(times) > 0:
		at, _ := time.Parse(time.RFC3339Nano, times[len(times)-1]) // else it is not known
		return NewMessage(subjects[len(subjects)-1], msg.Header, msg.Data, at), true, nil
	case status == "404":
		return m, false, nil
	default:
		return m, false, fmt.Errorf("read stream %s: the broker answers %s", e.stream, slices.Concat([]string{status}, msg.Header.Values("Description")))
	}
}

func (e *Expectation) why(err error) error { return e.client.Why(err, e.request) }
