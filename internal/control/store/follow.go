package store

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
	"github.com/factro-bridge/factro-bridge/internal/control"
	"github.com/factro-bridge/factro-bridge/internal/logsample"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// Conn is what following needs of the connection to NATS.
type Conn interface {
	bucket.Conn
	// AwaitUp waits until the connection is up, Epoch counts the connections.
	AwaitUp(ctx context.Context) error
	Epoch() int
}

const (
	// followEvery is how often the bucket is asked for the next change: bridges obey within a second.
	followEvery = 300 * time.Millisecond
	// rereadEvery is how often all of it is read again: a bucket that was deleted and restored has other revisions.
	rereadEvery = 5 * time.Second
	// firstAgain is how long a failure pauses the questions as long as nothing is known.
	firstAgain = 100 * time.Millisecond
	// retryAfter is how long a failure pauses the questions, and missingFor how long the bucket, or an answer, has to be missing
	// until nothing counts as paused: a broker that has just started may not know it yet.
	retryAfter, missingFor = time.Second, 3 * time.Second
)

// Change is a pause that began or ended.
type Change struct {
	control.Place
	// Pause is the pause, By who ended it; nil while it lasts, or if nobody wrote that down.
	Pause control.Pause
	By    *control.Pause
	Ended bool
	// Revision identifies the change for all bridges, 0 if it is not known; At is when the broker stored it.
	Revision uint64
	At       time.Time
}

// Follower keeps a board as the bucket is.
type Follower struct {
	conn    Conn
	bucket  *bucket.Bucket
	board   *control.Board
	log     *slog.Logger
	samples *logsample.Sampler
	tell    func(Change)
}

// Follow returns a follower. tell hears of each change, and must not block.
func Follow(conn Conn, board *control.Board, tell func(Change), log *slog.Logger) *Follower {
	return &Follower{conn: conn, bucket: Of(conn, log).bucket, board: board, log: log, samples: logsample.New(time.Minute), tell: tell}
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	var (
		now      = newSnapshot()
		epoch    int
		complete time.Time // when all was read last
		failing  time.Time // since when the answers are missing
	)
	for f.conn.AwaitUp(ctx) == nil {
		next := maps.Clone(now)
		if current := f.conn.Epoch(); current != epoch || time.Since(complete) >= rereadEvery {
			epoch, complete, next = current, time.Now(), newSnapshot()
		}
		err := next.follow(ctx, f.bucket)
		wait := followEvery
		switch {
		case err == nil:
			f.report(now, next)
			now, failing = next, time.Time{}
			f.board.Set(now.pauses())
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the end of ctx is the ordinary end
		default:
			wait, complete = retryAfter, time.Time{}
			if !f.board.Known() { // the work waits for it
				wait = firstAgain
			}
			if failing.IsZero() {
				failing = time.Now()
			}
			if time.Since(failing) < missingFor {
				break
			}
			if missing := natserr.NoStream(err); missing || !f.board.Known() {
				f.report(now, newSnapshot())
				now = newSnapshot()
				f.board.Set(nil)
			}
			if skipped, due := f.samples.Due("read", time.Now()); due {
				f.log.WarnContext(ctx, "what operators have paused cannot be read; what is known of it counts", "bucket", f.bucket.Name, "error", err, "not_logged", skipped)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
	return nil
}

// report tells what changed from one state of the bucket to the next.
func (f *Follower) report(before, after snapshot) {
	for at, e := range after {
		old, was := before[at]
		if was && old.Revision == e.Revision || e.Removed && (!was || old.Removed) {
			continue
		}
		c := Change{Place: at, Revision: e.Revision, At: e.At, Ended: e.Removed}
		if c.Ended {
			c.Pause = read(old.Value)
			if len(e.Value) > 0 {
				by := read(e.Value)
				c.By = &by
			}
		} else {
			c.Pause = read(e.Value)
		}
		f.tell(c)
	}
	for at, old := range before {
		if _, is := after[at]; !is && !old.Removed {
			f.tell(Change{Place: at, Pause: read(old.Value), Ended: true, At: time.Now()})
		}
	}
}

// snapshot is the last change of each place, as it was read.
type snapshot map[control.Place]bucket.Change

func newSnapshot() snapshot { return snapshot{} }

// last is the revision up to which it was read.
func (s snapshot) last() (last uint64) {
	for _, e := range s {
		last = max(last, e.Revision)
	}
	return last
}

// follow reads what was changed since.
func (s snapshot) follow(ctx context.Context, b *bucket.Bucket) error {
	for last := s.last(); ; {
		c, err := b.Next(ctx, control.KeyFilter, last)
		if bucket.Missing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		last = c.Revision
		if at, ok := control.PlaceOf(c.Key); ok {
			s[at] = c
		}
	}
}

// pauses are the places that are paused.
func (s snapshot) pauses() map[control.Place]control.Pause {
	out := map[control.Place]control.Pause{}
	for at, e := range s {
		if !e.Removed {
			out[at] = read(e.Value)
		}
	}
	return out
}
