package takeover

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// send stores a command in the cloud's stream, and says whether that had it already. A plain command without a message id
// has its place as its id: that becomes its message id, so that it is the same command as before. It also shows a repetition
// after a crash.
func (m *mover) send(ctx context.Context, subject string, header nats.Header, data []byte, sequence uint64, stored time.Time) (again bool, _ error) {
	place := m.old.CachedInfo().Config.Name + ":" + strconv.FormatUint(sequence, 10)
	msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	var own []string
	for name, values := range header {
		switch {
		case strings.EqualFold(name, events.HeaderMessageID):
			own = append(own, values...)
		case !delivery.IsBrokerHeader(name):
			msg.Header[name] = values
		}
	}
	if left := header[jetstream.MsgTTLHeader]; len(left) > 0 { // the broker knows it in this form only
		msg.Header[jetstream.MsgTTLHeader] = []string{remaining(left[0], stored)}
	}
	if m.filling {
		p := string(m.t.cfg.Prefix)
		msg.Subject = p + ".move." + strings.TrimPrefix(subject, p+".command.")
	}
	natserr.Expect(msg, m.to.Name)
	msg.Header[events.HeaderMessageID] = own
	if len(own) == 0 {
		msg.Header[events.HeaderMessageID] = []string{place}
	}
	msg.Header[headerMoved] = []string{place}
	for {
		ack, err := m.publish(ctx, msg)
		switch {
		case isHeaderTooLarge(err) && msg.Header[headerMoved] != nil: // with what the sender wrote it fitted
			delete(msg.Header, headerMoved)
			if len(own) == 0 {
				delete(msg.Header, events.HeaderMessageID)
			}
			continue
		case err != nil:
			return false, fmt.Errorf("move command %s to %s: %w", place, m.to.Name, err)
		case !ack.Duplicate || len(own) == 0:
			return ack.Duplicate, nil
		}
		// The stream has a command of that message id: this one, moved before a crash; or one that its sender has sent again; or
		// another one, which came when the old queue had forgotten the id. Only that one is to be there twice, if it says itself
		// which command it is.
		there, err := m.movedAs(ctx, ack.Sequence)
		if err != nil {
			return false, err
		}
		if there == "" || there == place || delivery.Header(header).Get("ce-id") == "" || msg.Header[events.HeaderMessageID][0] == place {
			return true, nil
		}
		msg.Header[events.HeaderMessageID] = []string{place}
	}
}

// headerMoved is on a command that was moved, and holds its place in the old queue.
const headerMoved = "Factro-Moved-From"

func (m *mover) publish(ctx context.Context, msg *nats.Msg) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	return natserr.Publish(ctx, m.t.conn.JetStream(), msg, m.to.Name)
}

// movedAs is the place that a command in the new queue had in the old one, or "".
func (m *mover) movedAs(ctx context.Context, sequence uint64) (string, error) {
	there, err := stored.On(m.t.conn).Get(ctx, m.to.Name, sequence, "")
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return delivery.Header(there.Header).Get(headerMoved), nil
}

// isHeaderTooLarge says whether a message has more headers than the server takes.
func isHeaderTooLarge(err error) bool {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return ok && refused.ErrorCode == 10097
}

// remaining is what is left of a message's life.
func remaining(ttl string, stored time.Time) string {
	d, err := time.ParseDuration(ttl)
	if err != nil {
		seconds, err := strconv.Atoi(ttl)
		if err != nil { // "never"
			return ttl
		}
		d = time.Duration(seconds) * time.Second
	}
	return max(d-time.Since(stored), time.Second).Truncate(time.Second).String()
}
