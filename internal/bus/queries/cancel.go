package queries

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

// Canceller cancels delayed commands of one cloud.
type Canceller interface {
	// Cancel cancels a command, and returns the outcome. After an error the command may be cancelled or not.
	Cancel(ctx context.Context, source, id string) (notbefore.CancelState, error)
}

const (
	// maxCancels bounds the requests to cancel of a cloud that are in flight at once.
	maxCancels = 16
	// cancelTimeout bounds one of them.
	cancelTimeout = 8 * time.Second
)

// ServeCancel answers the requests to cancel delayed commands of a cloud, until ctx ends. Then it finishes those in flight. Several
// bridges share the requests.
func ServeCancel(ctx context.Context, conn Conn, cloud string, canceller Canceller, log *slog.Logger) error {
	cfg := conn.Settings()
	replies, err := publish.RequestReplies(cloud, "cancel", cfg.ReplyPrefixes, log)
	if err != nil {
		return err
	}
	d := &cancelServer{nc: conn.NATS(), cloud: cloud, canceller: canceller, replies: replies, log: log, slots: make(chan struct{}, maxCancels)}
	working, stop := delivery.Grace(ctx, cfg.DrainTimeout)
	defer stop()
	subject := cfg.Prefix.Cancel(cloud)
	sub, err := d.nc.QueueSubscribe(subject, Queue, func(msg *nats.Msg) { d.accept(working, msg) })
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	<-ctx.Done()
	return drain([]*nats.Subscription{sub}, &d.inFlight)
}

// cancelServer answers the requests to cancel commands of one cloud.
type cancelServer struct {
	nc        *nats.Conn
	cloud     string
	canceller Canceller
	replies   *publish.Replies
	log       *slog.Logger
	slots     chan struct{} // bounds the requests in flight
	inFlight  sync.WaitGroup
}

// accept begins with a request. Without a reply subject that may be used, nobody would know whether the command was cancelled.
func (d *cancelServer) accept(ctx context.Context, msg *nats.Msg) {
	if msg.Reply == "" || !d.replies.Allow(ctx, msg.Reply, "") {
		return
	}
	select {
	case d.slots <- struct{}{}: // the others wait in the subscription
	case <-ctx.Done():
		return
	}
	d.inFlight.Go(func() {
		defer func() { <-d.slots }()
		ctx, cancel := context.WithTimeout(ctx, cancelTimeout)
		defer cancel()
		reply := d.answer(ctx, msg.Data).message()
		reply.Subject = msg.Reply
		if err := d.nc.PublishMsg(reply); err != nil {
			d.log.WarnContext(ctx, "answer to a request to cancel could not be sent", "cloud", d.cloud, "error", err)
		}
	})
}

func (d *cancelServer) answer(ctx context.Context, data []byte) Answer {
	ask, err := cancelRequest(data)
	if err != nil {
		return Answer{Status: http.StatusBadRequest, Error: &events.Error{Code: events.CodeInvalid, Message: err.Error()}}
	}
	state, err := d.canceller.Cancel(ctx, ask.Source, ask.ID)
	if err != nil {
		d.log.WarnContext(ctx, "a command could not be cancelled", "cloud", d.cloud, "error", err)
		return Answer{Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Error: &events.Error{
			Code: events.CodeUnavailable, Message: "the command may be cancelled or not; ask again",
		}}
	}
	text, err := json.Marshal(notbefore.CancelAnswer{State: state})
	if err != nil {
		return Answer{Status: http.StatusInternalServerError, Error: &events.Error{Code: events.CodeUnavailable, Message: err.Error()}}
	}
	return Answer{Status: http.StatusOK, Data: text}
}

// maxIdentity is the size in bytes of the longest id and source that a command can have.
const maxIdentity = 512

var errCancelSize = errors.New("the id or the source has more than 512 bytes, as no command has")

var errCancelForm = errors.New(`the request is not of the form {"id": "<id>", "source": "<URI>"}`)

func cancelRequest(data []byte) (ask notbefore.CancelRequest, err error) {
	if err := json.Unmarshal(data, &ask); err != nil || ask.ID == "" {
		return ask, errCancelForm
	}
	if len(ask.ID) > maxIdentity || len(ask.Source) > maxIdentity {
		return ask, errCancelSize
	}
	return ask, nil
}
