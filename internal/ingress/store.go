package ingress

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Store keeps what arrived. It returns nil only when that is durable. An error may have a method RetryAfter that tells
// how long the sender should wait; events.ErrTooLarge says that waiting does not help.
type Store interface {
	// Publish keeps an event, under its id, or under one of its own if that is the id of an event with another body. Any text
	// may stand in its destination. spooled says that it is not in the stream yet.
	Publish(ctx context.Context, to events.EventAddress, e event.Event, id string) (storedAs string, spooled bool, err error)
	// Quarantine keeps bytes for a cloud that could not be made into an event, with the reason and with the headers of their
	// request.
	Quarantine(ctx context.Context, cloud, id, code string, reason error, data []byte, request http.Header) error
}

// errHangs is used in place of the store's error.
var errHangs = errors.New("the store does not answer")

// within stores a webhook and answers in time even if the store hangs. A webhook that the store still works on after the
// timeout keeps its slot and its memory until the store returns and done is called.
func (s *Server) within(ctx context.Context, c *cloud, d delivery, done func()) (id string, _ answer) {
	// The body is here, and perhaps factro never sends it again: a sender that hangs up now does not stop it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StoreTimeout)
	type outcome struct {
		id string
		a  answer
	}
	stored := make(chan outcome)
	gaveUp := make(chan struct{})
	go func() {
		defer cancel()
		var o outcome
		o.id, o.a = s.recoverPanic(ctx, c, func() (string, answer) { return s.keep(ctx, c, d) })
		done()
		select {
		case stored <- o:
		case <-gaveUp:
			s.account.resolveHanging(o.a.kept)
		}
	}()
	timer := time.NewTimer(s.cfg.StoreTimeout + storeMargin)
	defer timer.Stop()
	select {
	case o := <-stored:
		return o.id, o.a
	case <-timer.C:
		s.account.hanging.Add(1)
		close(gaveUp)
		return "", s.lost(ctx, c, errHangs)
	}
}

func (s *Server) bodyTooLarge() answer {
	return tooLarge.because("the body, unpacked and as UTF-8, is larger than " + strconv.FormatInt(s.cfg.MaxBody, 10) + " bytes")
}

// keep makes an event of the body and stores it. A body that cannot be one came from somebody who knows the secret, so
// it is kept as well.
func (s *Server) keep(ctx context.Context, c *cloud, d delivery) (id string, _ answer) {
	body, a, err := s.decode(ctx, d)
	switch {
	case err != nil:
		return "", s.quarantine(ctx, c, d, a, err)
	case a.decided():
		return "", a
	}
	e, err := translate.Webhook(body, translate.Receipt{
		Cloud: c.Name, Source: c.Source, At: time.Now(), Origin: "webhook", NewID: s.newID,
	})
	if err != nil {
		return "", s.quarantine(ctx, c, d, unusable, err)
	}
	to := events.EventAddress{Cloud: c.Name, Resource: e.Resource, ID: e.EntityID, Action: e.Action}
	storedAs, waits, err := s.store.Publish(ctx, to, e.Event, c.Name+"."+e.ID())
	if errors.Is(err, events.ErrTooLarge) {
		return "", s.oversized(ctx, c, d, err)
	}
	if err != nil {
		return "", s.lost(ctx, c, err)
	}
	s.drift.check(ctx, c.Name, e)
	if waits {
		return storedAs, spooled
	}
	return storedAs, accepted
}

// quarantine keeps a body that is no event among the dead letters, and answers why.
func (s *Server) quarantine(ctx context.Context, c *cloud, d delivery, a answer, why error) answer {
	err := s.store.Quarantine(ctx, c.Name, c.Name+".dead."+s.newID(), "unusable", fmt.Errorf("webhook: %w", why), d.body, d.header)
	if err != nil {
		return s.lost(ctx, c, err)
	}
	s.log.WarnContext(ctx, "a webhook's body is no event; it is kept as a dead letter", "cloud", c.Name, "bytes", len(d.body), "status", a.status)
	return a.because("webhook: " + why.Error())
}

// oversized keeps the body of a webhook whose event no message can hold among the dead letters: from there it can be sent
// on once the broker takes it.
func (s *Server) oversized(ctx context.Context, c *cloud, d delivery, why error) answer {
	err := s.store.Quarantine(ctx, c.Name, c.Name+".dead."+s.newID(), "too_large", why, d.body, d.header)
	if err != nil {
		return s.lost(ctx, c, errors.Join(why, err))
	}
	s.log.ErrorContext(ctx, "a webhook is too large for the broker and is kept as a dead letter; raise its max_payload",
		"cloud", c.Name, "bytes", len(d.body), "error", why)
	return tooLarge.because("the broker takes no message of this size; it is kept as a dead letter").andKept()
}

// lost answers for what could not be stored.
func (s *Server) lost(ctx context.Context, c *cloud, err error) answer {
	if errors.Is(err, events.ErrTooLarge) {
		s.log.ErrorContext(ctx, "a webhook is too large for the broker; raise its max_payload", "cloud", c.Name, "error", err)
		return tooLarge.because("the broker takes no message of this size").andLost()
	}
	s.log.ErrorContext(ctx, "a webhook could not be stored", "cloud", c.Name, "error", err)
	after := retryAfter
	var passing interface{ RetryAfter() time.Duration }
	if errors.As(err, &passing) {
		after = passing.RetryAfter()
	}
	return notStored.after(after)
}

// retryAfter is the time that a sender should wait when nothing can be stored and the store has no better idea: long enough for a broker to elect a leader.
const retryAfter = 5 * time.Second
