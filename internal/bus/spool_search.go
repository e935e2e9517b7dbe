package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	// searchBatch is how many messages one request asks for, searchQuiet how long it waits for the next of them.
	searchBatch, searchQuiet = 100, 2 * time.Second
	// searchAttempts bounds how often a search may fail. Then the message is published all the same: rather twice than
	// never.
	searchAttempts = 3
)

// sight is what was seen of the stream, by subject.
type sight struct {
	mu sync.Mutex
	of map[string]*seen
}

// seen is what a stream has under a subject, as far as it was read.
type seen struct {
	mu   sync.Mutex
	ids  map[string]bool // message ids, as they stand in the header, each with the digest of its body
	last uint64          // the sequence of the last one
}

func (s *sight) get(subject string) *seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]*seen{}
	}
	if s.of[subject] == nil {
		s.of[subject] = &seen{ids: map[string]bool{}}
	}
	return s.of[subject]
}

func (s *sight) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of = nil
}

// search looks in the stream for a message that the broker may have, if it came there so long ago that the stream may
// have forgotten its id. What it finds is done.
func (s *Spool) search(ctx context.Context, l *lane, h *held) error {
	window := s.bus.Window(l.cloud)
	if !h.suspect || time.Since(h.at) <= window/2 {
		return nil
	}
	there := l.drain.seen.get(h.msg.Subject)
	there.mu.Lock()
	defer there.mu.Unlock()
	stream := s.bus.cfg.Prefix.EventStream(l.cloud)
	if token(h.msg.Subject, 1) == "dead" {
		stream = s.bus.cfg.Prefix.DeadStream(l.cloud)
	}
	if s.bus.isMoving(stream) { // what was there is still being copied
		return fmt.Errorf("look for %s: %w", h.msg.Subject, errMoving)
	}
	// The broker's clock may differ from ours, and whoever tried did so before the spool had it.
	err := s.bus.scan(ctx, stream, h.msg.Subject, h.at.Add(-window), there)
	if err == nil {
		err = s.bus.catchUp(ctx, stream, h.msg.Subject, there)
	}
	if err != nil {
		if h.lookups++; h.lookups < searchAttempts {
			return fmt.Errorf("look for %s: %w", h.msg.Subject, err)
		}
		s.log.WarnContext(ctx, "the stream cannot be searched for a webhook that may be there; it is published, perhaps again",
			"subject", h.msg.Subject, "error", err)
	}
	digest := events.BodyDigest(h.msg.Data)
	h.done = there.ids[percent.Encode(h.id)+digest] || there.ids[percent.Encode(events.OwnID(h.id, h.msg.Data))+digest]
	return nil
}

var errMoving = errors.New("the stream is being filled from the one of an older version")

var errScan = errors.New("the broker ended its answer early")

// scan reads on in a stream, under one subject: from a time, or from where it was the last time.
func (b *Conn) scan(ctx context.Context, stream, subject string, from time.Time, into *seen) error {
	for {
		request := map[string]any{"next_by_subj": subject, "batch": searchBatch}
		if into.last == 0 {
			request["start_time"] = from
		} else {
			request["seq"] = into.last + 1
		}
		n, err := b.scanBatch(ctx, stream, request, into)
		if err != nil || n == 0 {
			return err
		}
	}
}

// catchUp reads on from the leader of a stream. Any server may have answered the scan, and one that has stopped does not know the
// last messages. An account without the right to ask the leader does without.
func (b *Conn) catchUp(ctx context.Context, stream, subject string, into *seen) error {
	for !b.health.isDirect(stream) {
		m, err := b.StoredMsg(ctx, stream, into.last+1, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, nats.ErrNoResponders) { // or the account does not import it
			return nil
		}
		if err != nil {
			return err
		}
		into.last = m.Sequence
		into.note(&nats.Msg{Header: m.Header})
	}
	return nil
}

// scanBatch makes one request and returns how many messages came. The client has no word for it; it is JetStream's direct
// get with a batch.
func (b *Conn) scanBatch(ctx context.Context, stream string, request map[string]any, into *seen) (n int, err error) {
	text, err := json.Marshal(request)
	if err != nil {
		return 0, err
	}
	inbox := b.nc.NewInbox()
	sub, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		return 0, err
	}
	defer func() { _ = sub.Unsubscribe() }() // an error says that it is gone already
	if err := b.nc.PublishRequest(b.cfg.API("DIRECT.GET."+stream), inbox, text); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, searchQuiet)
	defer cancel()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return n, err
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204", "404": // the end of the batch, or nothing
			return n, nil
		default:
			return n, fmt.Errorf("%w: %s %s", errScan, status, m.Header.Get("Description"))
		}
		if into.last, err = strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64); err != nil {
			return n, fmt.Errorf("%w: %w", errScan, err)
		}
		n++
		into.note(m)
		if m.Header.Get("Nats-Num-Pending") == "" { // an old server, which knows no batches
			return n, nil
		}
	}
}

func (s *seen) note(m *nats.Msg) {
	if id := delivery.Header(m.Header).Get(events.HeaderMessageID); id != "" {
		s.ids[id+events.BodyDigest(m.Data)] = true
	}
}
