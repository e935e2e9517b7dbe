package takeover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/progress"
)

// An older version had one stream of each kind for all clouds. A bridge that may manage takes them over: what they hold of
// its clouds goes into the clouds' own streams, and they give up the subjects. All that is known of how far that is stands
// on the server, so that each step can be made again, by the same bridge after a crash or by another at the same time.
//
// The old stream goes on to take what is sent until nearly all of it was copied, so that nobody has to wait for that. Only
// between giving up the subjects and taking them, a few round trips, a publish finds no stream; it is repeated.

// copyWindow is how long ids are recognised while messages are moved: for a crash in between, however long it takes to come
// back.
const copyWindow = 24 * time.Hour

// nearly is how many messages may be left to copy when the old stream gives up the subjects.
const nearly = 100

// moveFor bounds how long one look moves messages. The next look goes on.
const moveFor = 2 * time.Second

// Conn is what taking over needs of the connection to NATS.
type Conn interface {
	stored.Conn
	State
	Base
}

// Base is the connection itself.
type Base interface {
	JetStream() jetstream.JetStream
	Settings() bus.Config
	// Epoch counts the connections: what was found on one may not be there on the next.
	Epoch() int
}

// State is what others know of a stream that is being filled.
type State interface {
	SetMoving(stream string, is bool)
	IsMoving(stream string) bool
	// News says whether something is new to the operator.
	News(name, text string) bool
}

// Takeover takes over what an older version left.
type Takeover struct {
	conn             Conn
	cfg              bus.Config
	log              *slog.Logger
	timeout, ackWait time.Duration // of one check of a cloud; of a command, until it is delivered again
	// Nearly is how many messages may be left to copy when the old stream gives up the subjects.
	Nearly uint64

	mu    sync.Mutex
	watch map[string]*progress.Log // of the streams that are being filled
	gone  int                      // the connection on which nothing was left to take over
}

// New returns what takes over the streams of an older version. It asks nobody.
func New(conn Conn, timeout, ackWait time.Duration, log *slog.Logger) *Takeover {
	return &Takeover{
		conn: conn, cfg: conn.Settings(), log: log, timeout: timeout, ackWait: ackWait, Nearly: nearly, watch: map[string]*progress.Log{},
	}
}

// IsMovingOf says whether any stream of a cloud is being filled from one of an older version.
func (t *Takeover) IsMovingOf(cloud string) bool {
	for _, s := range topology.Required(t.cfg.Prefix, cloud) {
		if t.conn.IsMoving(s.Name) {
			return true
		}
	}
	return false
}

func (t *Takeover) setMoving(name string, is bool) {
	t.conn.SetMoving(name, is)
	if !is {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.watch, name)
	}
}

// tellMoving logs from time to time how far a stream is that is being filled.
func (t *Takeover) tellMoving(ctx context.Context, name string, left uint64) {
	t.mu.Lock()
	watch := t.watch[name]
	if watch == nil {
		watch = &progress.Log{}
		t.watch[name] = watch
	}
	attrs, due := watch.Left(int64(min(left, math.MaxInt64)), time.Now())
	t.mu.Unlock()
	if due {
		t.log.LogAttrs(ctx, slog.LevelInfo, "stream is being filled from the one of an older version", append(attrs, slog.String("stream", name))...)
	}
}

// kindOf is a kind of stream that an older version had.
type kindOf struct {
	name string
	kind topology.Kind
}

// copied are those whose messages are copied and stay; the queue of commands is moved.
var copied = []kindOf{{"RESULTS", topology.Results}, {"DEAD", topology.Dead}, {"EVENTS", topology.Events}}

// TakeOver makes the next steps of taking over what an older version left, and says whether there is more to do.
func (t *Takeover) TakeOver(ctx context.Context) (more bool, _ error) {
	epoch := t.conn.Epoch()
	t.mu.Lock()
	gone := t.gone == epoch
	t.mu.Unlock()
	if gone || !t.cfg.Manage {
		return false, nil
	}
	var errs []error
	for _, k := range copied {
		left, err := t.takeOverKind(ctx, k)
		more = more || left
		errs = append(errs, err)
	}
	left, err := t.takeOverCommands(ctx)
	errs = append(errs, err)
	more = more || left
	// The same for all is one error, such as that there is no JetStream.
	errs = slices.CompactFunc(errs, func(a, b error) bool { return a != nil && b != nil && a.Error() == b.Error() })
	if err := errors.Join(errs...); err != nil {
		return true, fmt.Errorf("look for streams of an older version: %w", topology.WithSetting(err, topology.Events))
	}
	if !more && ctx.Err() == nil {
		t.mu.Lock()
		t.gone = epoch
		t.mu.Unlock()
		t.tellOld(ctx)
	}
	return more, nil
}

// tellOld says what is left of an older version.
func (t *Takeover) tellOld(ctx context.Context) {
	var left []string
	p := t.cfg.Prefix
	for _, name := range []string{
		topology.OldName(p, "EVENTS"), topology.OldName(p, "COMMANDS"), topology.OldName(p, "RESULTS"), topology.OldName(p, "DEAD"), topology.OldName(p, "ADVISORIES"),
		"KV_" + topology.OldName(p, "LEDGER"), "OBJ_" + topology.OldFileBucket(p), "OBJ_" + topology.OldName(p, "ANSWERS"),
	} {
		if _, err := t.conn.JetStream().Stream(ctx, name); err == nil {
			left = append(left, name)
		}
	}
	if len(left) > 0 && t.conn.News("taken over", strings.Join(left, ",")) {
		t.log.InfoContext(ctx, "the streams of an older version are taken over; once all bridges have been replaced they can be deleted, the buckets after a week",
			"streams", left)
	}
}

// old returns a stream of an older version, or nil.
func (t *Takeover) old(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := t.conn.JetStream().Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	return s, err
}

// takeOverKind copies the messages of one kind, and makes our clouds' streams the ones that take them.
func (t *Takeover) takeOverKind(ctx context.Context, k kindOf) (more bool, _ error) {
	ctx, cancel := context.WithTimeout(ctx, 2*t.timeout)
	defer cancel()
	old, err := t.old(ctx, topology.OldName(t.cfg.Prefix, k.name))
	if old == nil || err != nil {
		return false, err
	}
	var wants []topology.Stream // of the clouds whose stream is not there yet, or is being filled
	near := true
	for _, cloud := range t.cfg.Clouds {
		want := topology.Of(k.kind, t.cfg.Prefix, cloud)
		have, err := t.conn.JetStream().Stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			t.setMoving(want.Name, true)
			cfg := t.filling(want)
			for _, subject := range want.Subjects {
				cfg.Sources = append(cfg.Sources, &jetstream.StreamSource{Name: old.CachedInfo().Config.Name, FilterSubject: subject})
			}
			if _, err := t.conn.JetStream().CreateStream(ctx, cfg); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				return true, fmt.Errorf("create stream %s: %w", want.Name, topology.WithSetting(err, want.Kind))
			}
			t.log.InfoContext(ctx, "stream is filled from the one of an older version", "stream", want.Name, "from", old.CachedInfo().Config.Name)
			wants, near = append(wants, want), false
		case err != nil:
			return true, fmt.Errorf("look up stream %s: %w", want.Name, err)
		case len(have.CachedInfo().Config.Sources) > 0:
			t.setMoving(want.Name, true)
			wants = append(wants, want)
			left, err := t.leftToCopy(ctx, old, have, want)
			if err != nil {
				return true, err
			}
			t.tellMoving(ctx, want.Name, left)
			near = near && left <= t.Nearly
		default:
			t.setMoving(want.Name, false)
		}
	}
	switch {
	case len(wants) == 0:
		return false, nil
	case !near:
		return true, nil
	}
	if err := t.giveUpSubjects(ctx, old, wants); err != nil {
		return true, err
	}
	for _, want := range wants {
		if err := t.take(ctx, old, want); err != nil {
			return true, err
		}
	}
	return false, nil
}

// filling is the configuration of a stream that is being filled: without a limit, since nothing is to get lost.
func (t *Takeover) filling(want topology.Stream) jetstream.StreamConfig {
	cfg := t.cfg.Plan().Stream(want).StreamConfig
	cfg.Subjects, cfg.MaxBytes, cfg.Duplicates = nil, -1, copyWindow
	if cfg.MaxAge > 0 {
		cfg.Duplicates = min(copyWindow, cfg.MaxAge)
	}
	return cfg
}

// leftToCopy is how many places of the old stream lie between what was copied and the last message of this cloud, at most.
func (t *Takeover) leftToCopy(ctx context.Context, old, have jetstream.Stream, want topology.Stream) (left uint64, _ error) {
	for _, subject := range want.Subjects { // each has a source of its own
		last, err := t.lastOn(ctx, old, subject)
		if err != nil {
			return 0, err
		}
		copied, err := t.lastOn(ctx, have, subject)
		if err != nil {
			return 0, err
		}
		left += last.Sequence - min(copiedFrom(copied), last.Sequence)
	}
	return left, nil
}

// lastOn is the last message on any subject that a filter means; an empty one if there is none.
func (t *Takeover) lastOn(ctx context.Context, s jetstream.Stream, filter string) (last jetstream.RawStreamMsg, _ error) {
	name := s.CachedInfo().Config.Name
	m, err := stored.On(t.conn).FromLeader(ctx, name, map[string]any{"last_by_subj": filter}) // the client's own words take no wildcards
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return last, nil
	case err != nil:
		return last, fmt.Errorf("last message: %w", err)
	}
	return *m, nil
}

// copiedFrom is the sequence that a message had in the stream that it was copied from, as the server notes it.
func copiedFrom(m jetstream.RawStreamMsg) uint64 {
	for word := range strings.FieldsSeq(delivery.Header(m.Header).Get("Nats-Stream-Source")) {
		if n, err := strconv.ParseUint(word, 10, 64); err == nil {
			return n
		}
	}
	return 0
}
