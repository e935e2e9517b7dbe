package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// Window is how long the stream of a cloud's events recognises a message id.
func (b *Conn) Window(cloud string) time.Duration {
	window := b.cfg.Plan().Window()
	b.mu.Lock()
	defer b.mu.Unlock()
	if have, ok := b.windows[cloud]; ok {
		return min(window, have) // somebody may have chosen less
	}
	return window
}

// sawStream keeps what has to be known of a stream of events between two looks.
func (b *Conn) sawStream(cloud string, c jetstream.StreamConfig) {
	if c.Name != b.cfg.Prefix.EventStream(cloud) {
		return
	}
	b.limits.sawMessages(cloud, int64(c.MaxMsgSize))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.windows[cloud] = c.Duplicates
}

// ensureStreams creates what is missing and warns about what differs, and returns what is wrong with each cloud. Without
// the right to manage it only looks.
func (b *Conn) ensureStreams(ctx context.Context) map[string]error {
	var looks map[string]look
	if b.cfg.Manage {
		looks = b.shareOut(ctx, func() map[string]look { return b.eachCloud(ctx, b.lookAt) })
	} else {
		looks = b.eachCloud(ctx, func(ctx context.Context, cloud string) look { return look{err: b.bindStreams(ctx, cloud)} })
	}
	for kind := range topology.Required(b.cfg.Prefix, "") { // kind by kind: no cloud takes the room that another's results need
		for _, cloud := range b.cfg.Clouds {
			l := looks[cloud]
			if i := slices.IndexFunc(l.missing, func(s topology.Stream) bool { return s.Name == topology.Required(b.cfg.Prefix, cloud)[kind].Name }); i >= 0 {
				if err := b.CreateStream(ctx, l.missing[i]); err != nil {
					l.useless = append(l.useless, fmt.Errorf("create stream %s: %w", l.missing[i].Name, err))
				}
				looks[cloud] = l
			}
		}
	}
	errs := map[string]error{}
	for cloud, l := range looks {
		if errs[cloud] = l.err; l.err == nil {
			errs[cloud] = first(l.useless)
		}
	}
	return errs
}

// look is what was seen of a cloud's streams.
type look struct {
	missing []topology.Stream
	rest    []topology.Kind // of what is missing beside the streams
	useless []error         // there, but no good; the others are used all the same
	err     error           // why it could not be looked at
}

// lookAt looks whether the streams of a cloud are there and as they should be.
func (b *Conn) lookAt(ctx context.Context, cloud string) look {
	var l look
	for _, want := range b.cfg.Plan().Streams(cloud) {
		if b.isMoving(want.Name) {
			continue
		}
		have, err := b.js.Stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			l.missing = append(l.missing, want)
		case err != nil:
			l.err = fmt.Errorf("look up stream %s: %w", want.Name, withSetting(err, want.Kind))
			return l
		default:
			b.sawStream(cloud, have.CachedInfo().Config)
			if d := topology.Drift(want.StreamConfig, have.CachedInfo().Config); b.News(want.Name, d) {
				b.log.WarnContext(ctx, "stream differs from the contract; it is left as it is", "stream", want.Name, "drift", d)
			}
			weSend := want.Name != b.cfg.Prefix.CommandStream(cloud)
			err := b.sawUsable(have.CachedInfo(), weSend)
			if err == nil {
				err = missingSubjects(ctx, b.js, want.StreamConfig, have.CachedInfo(), weSend)
			}
			if err != nil {
				l.useless = append(l.useless, err)
			}
		}
	}
	b.mu.Lock()
	stocked := b.stocked
	b.mu.Unlock()
	if len(l.missing) > 0 || !stocked {
		l.rest = b.missingRest(ctx, cloud)
	}
	if (len(l.missing) > 0 || len(l.rest) > 0) && b.isMissing(ctx, topology.AdvisoryStream(b.cfg.Prefix, cloud)) {
		l.rest = append(l.rest, topology.Advisories) // not made by a look, so its absence alone says nothing
	}
	return l
}

// CreateStream creates a stream with its size, or its share of the room that there is.
func (b *Conn) CreateStream(ctx context.Context, want topology.Stream) error {
	made, err := b.WithRoom(ctx, "stream "+want.Name, want.Kind, func(ctx context.Context, bytes int64) error {
		want.MaxBytes = bytes
		_, err := b.js.CreateStream(ctx, want.StreamConfig)
		return withOther(ctx, b.js, want.StreamConfig, err)
	})
	if made {
		b.log.InfoContext(ctx, "stream created", "stream", want.Name)
	}
	return err
}

// ackWait is how long the broker waits for word of a command before it delivers it to somebody else.
const ackWait = 10 * time.Second

// CommandConsumer binds the durable consumer of a cloud's commands, and creates it if it is missing and the bridge may.
func (b *Conn) CommandConsumer(ctx context.Context, cloud string) (jetstream.Consumer, error) {
	want := b.cfg.Plan().Consumer(cloud, b.ackWait)
	c, err := b.js.Consumer(ctx, b.cfg.Prefix.CommandStream(cloud), want.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound) && b.cfg.Manage:
		if c, err = b.js.CreateConsumer(ctx, b.cfg.Prefix.CommandStream(cloud), want); err != nil {
			return nil, fmt.Errorf("create consumer %s: %w", want.Durable, err)
		}
	case err != nil:
		return nil, fmt.Errorf("bind consumer %s: %w", want.Durable, err)
	default:
		if d := topology.ConsumerDrift(want, c.CachedInfo().Config); b.News(want.Durable, d) {
			b.log.WarnContext(ctx, "consumer differs from the contract; it is left as it is", "consumer", want.Durable, "drift", d)
		}
	}
	return c, nil
}

// News says whether the operator has yet to be told of a drift: once is enough, over all the times that we look.
func (b *Conn) News(name, drift string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := drift != "" && b.warned[name] != drift
	b.warned[name] = drift
	return news
}
