package change

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// OnlyID has [Watch] follow one object.
func OnlyID(id string) Option { return func(o *options) { o.id = id } }

// OnCurrent has [Watch] call f once it has handed over all that there was when it began. What comes then is new.
func OnCurrent(f func()) Option { return func(o *options) { o.onCurrent = f } }

// WithLog has [Watch] write warnings there, instead of by the default of [log/slog]: of a bucket that cannot be read for a while.
func WithLog(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// Watch hands over all objects of a resource, or of all with [events.Any], and then each that changes, until ctx ends; then it returns
// nil. An error of handle ends it and is returned. Another error says that there is nothing to watch, and comes before the first object.
//
// States come one at a time in the order of the bucket: no object is left out, and none goes back to an earlier state. Objects
// that are gone come too, as long as the bucket has their markers. Of several changes while handle runs or the connection is away only
// the last may come: [Subscribe] has each of them.
//
// Watch survives lost connections and restarts of the broker, and goes on behind the last state that was handled. If the bucket was
// made again it starts over, with revisions from one on, and calls the function of [OnCurrent] once more.
//
// It needs the right to publish to
//
//	$JS.API.STREAM.INFO.KV_<bucket>
//	$JS.API.CONSUMER.*.KV_<bucket>.>
//	$JS.API.CONSUMER.MSG.NEXT.KV_<bucket>.>
func Watch(ctx context.Context, js jetstream.JetStream, cloud, resource string, handle func(context.Context, State) error, opts ...Option) error {
	o := optionsOf(opts)
	bucket := Bucket(o.prefix, cloud)
	w := watcher{
		js: js, bucket: bucket, options: o, handle: handle,
		filter: subjectOf(bucket, cloud+"."+wild(resource)+"."+wild(o.id)),
	}
	if err := w.run(ctx); err != nil {
		return fmt.Errorf("watch %s of %s: %w", resource, cloud, err)
	}
	return nil
}

// watcher is one call of Watch.
type watcher struct {
	options

	js             jetstream.JetStream
	bucket, filter string
	handle         func(context.Context, State) error

	// created is when the bucket was made. Another time is that of another bucket.
	created time.Time
	// behind is the revision after the last one that was handled, 0 before the first one.
	behind uint64
	// short counts how often in a row the bucket had less than was handled already.
	short int
	// last is the revision that the bucket had when the snapshot began, and current is true once the snapshot is over.
	last    uint64
	current bool
	// bound is true once there was a consumer.
	bound bool
}

const (
	// createTimeout bounds the making of a consumer. A request that finds no leader is never answered.
	createTimeout = 5 * time.Second
	// unansweredMost is how long a watch asks for the bucket until it takes silence for a missing right.
	unansweredMost = 20 * time.Second
	// pullMessages and pullBytes bound what is on its way at once.
	pullMessages, pullBytes = 256, 8 << 20
	// inactive is how long the broker keeps a consumer that nobody pulls from.
	inactive = time.Minute
	// shortMost is after how many times a bucket counts as another one that has less than was handled already: a leader that was just
	// elected may not have all for a moment.
	shortMost = 4
)

// stopped is the error of a handler.
type stopped struct{ error }

// errShort says that the bucket has less than was handled already.
var errShort = errors.New("the bucket has gone back")

// errLost says that the broker has sent what did not arrive.
var errLost = errors.New("an entry was lost on its way")

func (w *watcher) run(ctx context.Context) error {
	conn := w.js.Conn()
	for failures, first, began := 0, time.Now(), time.Now(); ctx.Err() == nil; failures, began = failures+1, time.Now() {
		err := w.follow(ctx)
		if by, ok := errors.AsType[stopped](err); ok {
			return by.error
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the ordinary end
		}
		switch {
		case conn.IsClosed():
			return nats.ErrConnectionClosed
		case !conn.IsConnected():
			first = time.Now() // the broker had no chance to answer
		case !w.bound && w.isHopeless(err, first):
			return err
		}
		if time.Since(began) > time.Minute {
			failures = 0 // it worked for a while
		}
		if failures == 0 {
			w.log.WarnContext(ctx, "states cannot be read; trying again", "bucket", w.bucket, "error", err)
		}
		delivery.Pause(ctx, delivery.Backoff(failures))
	}
	return nil
}

// isHopeless says whether another attempt to begin makes no sense: the bucket is not there, or we may not ask for it. Of the latter the
// broker says nothing, as one does that is about to elect a leader.
func (w *watcher) isHopeless(err error, first time.Time) bool {
	if !natserr.Outage(err) {
		return true
	}
	return errors.Is(err, context.DeadlineExceeded) &&
		(errors.Is(w.js.Conn().LastError(), nats.ErrPermissionViolation) || time.Since(first) > unansweredMost)
}

// follow hands over states until ctx ends or the consumer cannot be pulled from. Each time has a consumer of its own, which begins
// behind the last state that was handled: what a broken connection has lost comes again.
func (w *watcher) follow(ctx context.Context) error {
	line := delivery.LineOf(w.js.Conn())
	if err := line.AwaitUp(ctx); err != nil {
		return err
	}
	consumer, err := w.consumer(ctx)
	if err != nil {
		return err
	}
	name := consumer.CachedInfo().Name
	defer w.leave(ctx, name)
	puller := delivery.Puller{
		Conn: w.js.Conn(), Line: line, API: delivery.API(w.js), Stream: streamOf(w.bucket), Consumer: name, Heartbeat: delivery.Heartbeat,
	}
	w.arrive(consumer.CachedInfo().NumPending == 0)
	for expected := uint64(1); ; {
		if err := puller.Pull(ctx, pullMessages, pullBytes, func(msg *nats.Msg) error {
			defer func() { expected++ }()
			return w.take(ctx, msg, expected)
		}); err != nil {
			return err
		}
		if w.current {
			continue
		}
		if info, err := consumer.Info(ctx); err == nil { // what was to come may have been deleted
			w.arrive(info.NumPending == 0)
		}
	}
}

// consumer makes a consumer that begins where this watcher is. It acknowledges nothing: the broker keeps no place for it.
func (w *watcher) consumer(ctx context.Context) (jetstream.Consumer, error) {
	once, cancel := context.WithTimeout(ctx, delivery.AttemptTimeout)
	defer cancel()
	stream, err := w.js.Stream(once, streamOf(w.bucket))
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", w.bucket, err)
	}
	state := stream.CachedInfo().State
	if err := w.recognise(stream.CachedInfo()); err != nil {
		return nil, err
	}
	cfg := jetstream.ConsumerConfig{
		FilterSubject: w.filter, AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: inactive,
	}
	if w.behind > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, w.behind
	} else {
		w.last = state.LastSeq
	}
	once, cancel = context.WithTimeout(ctx, createTimeout)
	defer cancel()
	consumer, err := stream.CreateConsumer(once, cfg)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: create consumer: %w", w.bucket, err)
	}
	w.bound = true
	return consumer, nil
}

// recognise begins at the beginning if it is another bucket than before, or one that was restored from a backup.
func (w *watcher) recognise(info *jetstream.StreamInfo) error {
	if w.short++; info.State.LastSeq+1 >= w.behind {
		w.short = 0
	}
	switch another := !info.Created.Equal(w.created) || w.short >= shortMost; {
	case another:
		w.created, w.behind, w.short, w.current = info.Created, 0, 0, false
	case w.short > 0:
		return errShort
	}
	return nil
}

// take hands over one state. The place moves only when it was handled.
func (w *watcher) take(ctx context.Context, msg *nats.Msg, expected uint64) error {
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	if meta.Sequence.Consumer != expected {
		return errLost
	}
	if err := w.handle(ctx, stateOf(w.bucket, msg.Subject, msg.Header, msg.Data, meta.Sequence.Stream)); err != nil {
		return stopped{err}
	}
	w.behind = meta.Sequence.Stream + 1
	w.arrive(meta.Sequence.Stream >= w.last || meta.NumPending == 0)
	return nil
}

// arrive notes that the snapshot is over.
func (w *watcher) arrive(over bool) {
	if over && !w.current {
		w.current = true
		w.onCurrent()
	}
}

// leave takes the consumer away. The broker does so, too, after a while.
func (w *watcher) leave(ctx context.Context, name string) {
	if !w.js.Conn().IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), delivery.AttemptTimeout)
	defer cancel()
	_ = w.js.DeleteConsumer(ctx, streamOf(w.bucket), name)
}
