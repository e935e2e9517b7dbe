package advisory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

const (
	// recentMost bounds how many positions are kept.
	recentMost = 10_000
	// recentBefore is how long before an advisory its dead letter may have been stored.
	recentBefore = time.Minute
)

// recentLetters knows the positions of the dead letters that were stored of late. Advisories come in the order of the dead
// letters, so each of these is read once, and not once for each advisory. They are read without a consumer: as many commands as a
// stream holds may be given up at once, and the consumers of a stream are limited.
type recentLetters struct {
	conn           stored.Conn
	stream, filter string

	next  uint64 // the sequence to go on at, or 0: at the advisory's time
	known map[string]bool
	order []string // oldest first
}

// rewind forgets everything, so that the next search begins again at the advisory's time.
func (l *recentLetters) rewind() { l.next, l.known, l.order = 0, nil, nil }

// has says whether the dead letter about the advisory's command is there.
func (l *recentLetters) has(ctx context.Context, a advisory) (bool, error) {
	if l.known[a.position()] {
		return true, nil
	}
	if err := l.read(ctx, a.Time.Add(-recentBefore)); err != nil {
		l.rewind()
		return false, fmt.Errorf("look for the dead letter about %s: %w", a.position(), err)
	}
	return l.known[a.position()], nil
}

// read reads the headers of the dead letters that came since.
func (l *recentLetters) read(ctx context.Context, since time.Time) error {
	for {
		var m *jetstream.RawStreamMsg
		var err error
		if l.next == 0 {
			m, err = stored.On(l.conn).Since(ctx, l.stream, l.filter, since)
		} else {
			m, err = stored.On(l.conn).Get(ctx, l.stream, l.next, l.filter)
		}
		if natserr.NoMessage(err) || errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		l.next = m.Sequence + 1
		l.add(deadletter.Position(delivery.Header(m.Header)))
	}
}

// add keeps the position of a dead letter.
func (l *recentLetters) add(position string) {
	if position == "" || l.known[position] {
		return
	}
	if l.known == nil {
		l.known = map[string]bool{}
	}
	if len(l.order) >= recentMost {
		delete(l.known, l.order[0])
		l.order = l.order[1:]
	}
	l.known[position] = true
	l.order = append(l.order, position)
}
