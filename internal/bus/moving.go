package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/pkg/events"
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

// moving is what is being taken over.
type moving struct {
	names map[string]bool // streams of ours that are being filled
	watch map[string]*progress.Log
	gone  bool // nothing is left to take over, on this connection
}

// isMoving says whether a stream is being filled from one of an older version.
func (b *Conn) isMoving(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.moves.names[name]
}

// isMovingOf says whether any stream of a cloud is.
func (b *Conn) isMovingOf(cloud string) bool {
	for _, s := range topology.Required(b.cfg.Prefix, cloud) {
		if b.isMoving(s.Name) {
			return true
		}
	}
	return false
}

func (b *Conn) setMoving(name string, is bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.moves.names == nil {
		b.moves.names = map[string]bool{}
	}
	if is {
		b.moves.names[name] = true
	} else {
		delete(b.moves.names, name)
		delete(b.moves.watch, name)
	}
}

// tellMoving logs from time to time how far a stream is that is being filled.
func (b *Conn) tellMoving(ctx context.Context, name string, left uint64) {
	b.mu.Lock()
	watch := b.moves.watch[name]
	if watch == nil {
		watch = &progress.Log{}
		if b.moves.watch == nil {
			b.moves.watch = map[string]*progress.Log{}
		}
		b.moves.watch[name] = watch
	}
	attrs, due := watch.Left(int64(min(left, math.MaxInt64)), time.Now())
	b.mu.Unlock()
	if due {
		b.log.LogAttrs(ctx, slog.LevelInfo, "stream is being filled from the one of an older version", append(attrs, slog.String("stream", name))...)
	}
}

// kindOf is a kind of stream that an older version had.
type kindOf struct {
	name string
	kind topology.Kind
}

// copied are those whose messages are copied and stay; the queue of commands is moved.
var copied = []kindOf{{"RESULTS", topology.Results}, {"DEAD", topology.Dead}, {"EVENTS", topology.Events}}

// takeOver makes the next steps of taking over what an older version left, and says whether there is more to do.
func (b *Conn) takeOver(ctx context.Context) (more bool, _ error) {
	b.mu.Lock()
	gone := b.moves.gone
	b.mu.Unlock()
	if gone || !b.cfg.Manage {
		return false, nil
	}
	var errs []error
	for _, k := range copied {
		left, err := b.takeOverKind(ctx, k)
		more = more || left
		errs = append(errs, err)
	}
	left, err := b.takeOverCommands(ctx)
	errs = append(errs, err)
	more = more || left
	// The same for all is one error, such as that there is no JetStream.
	errs = slices.CompactFunc(errs, func(a, b error) bool { return a != nil && b != nil && a.Error() == b.Error() })
	if err := errors.Join(errs...); err != nil {
		return true, fmt.Errorf("look for streams of an older version: %w", withSetting(err, topology.Events))
	}
	if !more && ctx.Err() == nil {
		b.mu.Lock()
		b.moves.gone = true
		b.mu.Unlock()
		b.tellOld(ctx)
	}
	return more, nil
}

// tellOld says what is left of an older version.
func (b *Conn) tellOld(ctx context.Context) {
	var left []string
	p := b.cfg.Prefix
	for _, name := range []string{
		topology.OldName(p, "EVENTS"), topology.OldName(p, "COMMANDS"), topology.OldName(p, "RESULTS"), topology.OldName(p, "DEAD"), topology.OldName(p, "ADVISORIES"),
		"KV_" + topology.OldName(p, "LEDGER"), "OBJ_" + topology.OldFileBucket(p), "OBJ_" + topology.OldName(p, "ANSWERS"),
	} {
		if _, err := b.js.Stream(ctx, name); err == nil {
			left = append(left, name)
		}
	}
	if len(left) > 0 && b.News("taken over", strings.Join(left, ",")) {
		b.log.InfoContext(ctx, "the streams of an older version are taken over; once all bridges have been replaced they can be deleted, the buckets after a week",
			"streams", left)
	}
}

// old returns a stream of an older version, or nil.
func (b *Conn) old(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := b.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	return s, err
}

// takeOverKind copies the messages of one kind, and makes our clouds' streams the ones that take them.
func (b *Conn) takeOverKind(ctx context.Context, k kindOf) (more bool, _ error) {
	ctx, cancel := context.WithTimeout(ctx, 2*b.lookTimeout)
	defer cancel()
	old, err := b.old(ctx, topology.OldName(b.cfg.Prefix, k.name))
	if old == nil || err != nil {
		return false, err
	}
	var wants []topology.Stream // of the clouds whose stream is not there yet, or is being filled
	near := true
	for _, cloud := range b.cfg.Clouds {
		want := topology.Of(k.kind, b.cfg.Prefix, cloud)
		have, err := b.js.Stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			b.setMoving(want.Name, true)
			cfg := b.filling(want)
			for _, subject := range want.Subjects {
				cfg.Sources = append(cfg.Sources, &jetstream.StreamSource{Name: old.CachedInfo().Config.Name, FilterSubject: subject})
			}
			if _, err := b.js.CreateStream(ctx, cfg); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				return true, fmt.Errorf("create stream %s: %w", want.Name, withSetting(err, want.Kind))
			}
			b.log.InfoContext(ctx, "stream is filled from the one of an older version", "stream", want.Name, "from", old.CachedInfo().Config.Name)
			wants, near = append(wants, want), false
		case err != nil:
			return true, fmt.Errorf("look up stream %s: %w", want.Name, err)
		case len(have.CachedInfo().Config.Sources) > 0:
			b.setMoving(want.Name, true)
			wants = append(wants, want)
			left, err := b.leftToCopy(ctx, old, have, want)
			if err != nil {
				return true, err
			}
			b.tellMoving(ctx, want.Name, left)
			near = near && left <= b.nearly
		default:
			b.setMoving(want.Name, false)
		}
	}
	switch {
	case len(wants) == 0:
		return false, nil
	case !near:
		return true, nil
	}
	if err := b.giveUpSubjects(ctx, old, wants); err != nil {
		return true, err
	}
	for _, want := range wants {
		if err := b.take(ctx, old, want); err != nil {
			return true, err
		}
	}
	return false, nil
}

// filling is the configuration of a stream that is being filled: without a limit, since nothing is to get lost.
func (b *Conn) filling(want topology.Stream) jetstream.StreamConfig {
	cfg := b.cfg.Plan().Stream(want).StreamConfig
	cfg.Subjects, cfg.MaxBytes, cfg.Duplicates = nil, -1, copyWindow
	if cfg.MaxAge > 0 {
		cfg.Duplicates = min(copyWindow, cfg.MaxAge)
	}
	return cfg
}

// leftToCopy is how many places of the old stream lie between what was copied and the last message of this cloud, at most.
func (b *Conn) leftToCopy(ctx context.Context, old, have jetstream.Stream, want topology.Stream) (left uint64, _ error) {
	for _, subject := range want.Subjects { // each has a source of its own
		last, err := b.lastOn(ctx, old, subject)
		if err != nil {
			return 0, err
		}
		copied, err := b.lastOn(ctx, have, subject)
		if err != nil {
			return 0, err
		}
		left += last.Sequence - min(copiedFrom(copied), last.Sequence)
	}
	return left, nil
}

// lastOn is the last message on any subject that a filter means; an empty one if there is none.
func (b *Conn) lastOn(ctx context.Context, s jetstream.Stream, filter string) (last jetstream.RawStreamMsg, _ error) {
	name := s.CachedInfo().Config.Name
	m, err := b.FromLeader(ctx, name, map[string]any{"last_by_subj": filter}) // the client's own words take no wildcards
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return last, nil
	case err != nil:
		return last, fmt.Errorf("last message: %w", err)
	}
	return *m, nil
}

// noMessageFound is the server's code for a subject without messages.
const noMessageFound = 10037

// copiedFrom is the sequence that a message had in the stream that it was copied from, as the server notes it.
func copiedFrom(m jetstream.RawStreamMsg) uint64 {
	for word := range strings.FieldsSeq(delivery.Header(m.Header).Get("Nats-Stream-Source")) {
		if n, err := strconv.ParseUint(word, 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// giveUpSubjects takes the subjects of some clouds from an old stream. It keeps those of clouds of which another bridge carries out
// commands: that one takes them over itself.
func (b *Conn) giveUpSubjects(ctx context.Context, old jetstream.Stream, wants []topology.Stream) error {
	info, err := old.Info(ctx)
	if err != nil {
		return err
	}
	cfg := info.Config
	var mine []string
	for _, want := range wants {
		mine = append(mine, want.Subjects...)
	}
	var keep []string
	for _, subject := range cfg.Subjects {
		switch {
		case slices.Contains(mine, subject):
		case strings.HasSuffix(subject, ".>") && slices.ContainsFunc(mine, func(m string) bool { return strings.HasPrefix(m, strings.TrimSuffix(subject, ">")) }):
			others, err := b.otherClouds(ctx)
			if err != nil {
				return err
			}
			for _, cloud := range others {
				keep = append(keep, subjectsLike(wants[0], b.cfg.Prefix, cloud)...)
			}
		default:
			keep = append(keep, subject)
		}
	}
	slices.Sort(keep)
	keep = slices.Compact(keep)
	if len(keep) == 0 {
		keep = []string{cfg.Name} // it cannot have none; nobody publishes there
	}
	if slices.Equal(keep, cfg.Subjects) {
		return nil
	}
	cfg.Subjects = keep
	if _, err := b.js.UpdateStream(ctx, cfg); err != nil {
		return fmt.Errorf("take the subjects from %s: %w", cfg.Name, err)
	}
	return nil
}

// subjectsLike are the subjects of another cloud's stream of the same kind.
func subjectsLike(spec topology.Stream, p events.Prefix, cloud string) []string {
	subjects := topology.Of(spec.Kind, p, cloud).Subjects
	if spec.Kind == topology.Commands {
		return subjects[:1] // an older version knows no other
	}
	return subjects
}

// otherClouds are those of which another bridge, of the older version, carries out commands.
func (b *Conn) otherClouds(ctx context.Context) ([]string, error) {
	queue, err := b.old(ctx, topology.OldName(b.cfg.Prefix, "COMMANDS"))
	if queue == nil || err != nil {
		return nil, err
	}
	var clouds []string
	names := queue.ConsumerNames(ctx)
	for name := range names.Name() {
		if cloud, ok := strings.CutPrefix(name, "egress-"); ok && !slices.Contains(b.cfg.Clouds, cloud) {
			clouds = append(clouds, cloud)
		}
	}
	return clouds, names.Err()
}

// settled is how long a copy without any news is believed to be complete although its last message is another one than the
// last of the old stream: a repetition that the new stream did not take.
const settled = 2 * time.Second

// take waits until the last messages were copied, and gives the stream its subjects and its limit.
func (b *Conn) take(ctx context.Context, old jetstream.Stream, want topology.Stream) error {
	var still time.Time // since when nothing came although something is left
	before := uint64(0)
	for {
		have, err := b.js.Stream(ctx, want.Name)
		if err != nil {
			return err
		}
		left, err := b.leftToCopy(ctx, old, have, want)
		if err != nil {
			return fmt.Errorf("stream %s: %w", want.Name, err)
		}
		b.tellMoving(ctx, want.Name, left)
		info := have.CachedInfo()
		idle := !slices.ContainsFunc(info.Sources, func(s *jetstream.StreamSourceInfo) bool { return s.Lag > 0 || s.Active < 0 })
		if left != before || !idle {
			still, before = time.Now(), left
		}
		if left == 0 || idle && time.Since(still) > settled {
			return b.finish(ctx, have, want)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stream %s: %s left to copy: %w", want.Name, plural.Of(left, "message"), ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// finish makes a stream that was filled the one of the contract. Its limit is what it holds, if that is more than it should.
func (b *Conn) finish(ctx context.Context, have jetstream.Stream, want topology.Stream) error {
	info, err := have.Info(ctx)
	if err != nil {
		return err
	}
	cfg := b.cfg.Plan().Stream(want).StreamConfig
	cfg.Replicas = info.Config.Replicas
	holds := int64(min(info.State.Bytes, 1<<62))
	wanted := want.Kind.Size(b.cfg.MaxBytes)
	least := max(holds+holds/8, topology.LeastSize)
	cfg.MaxBytes = max(wanted, least)
	_, err = b.js.UpdateStream(ctx, cfg)
	for isNoRoom(err) && cfg.MaxBytes > least {
		cfg.MaxBytes = max(cfg.MaxBytes/4, least)
		_, err = b.js.UpdateStream(ctx, cfg)
	}
	full := err
	if isNoRoom(err) { // somebody waits for the subjects
		cfg.MaxBytes = -1
		_, err = b.js.UpdateStream(ctx, cfg)
	}
	if err != nil {
		return fmt.Errorf("give stream %s its subjects: %w", want.Name, err)
	}
	b.setMoving(want.Name, false)
	switch {
	case cfg.MaxBytes < 0:
		b.log.WarnContext(ctx, "stream of an older version is taken over without a limit, since NATS has no room to reserve; give it room, and a limit",
			"stream", want.Name, "holds", holds, "error", full)
	case cfg.MaxBytes != wanted:
		b.log.WarnContext(ctx, "stream of an older version is taken over with another limit than it should have", "stream", want.Name,
			"max_bytes", cfg.MaxBytes, "wanted", wanted, "holds", holds, "setting", want.Kind.Setting())
	default:
		b.log.InfoContext(ctx, "stream of an older version is taken over", "stream", want.Name, "messages", info.State.Msgs)
	}
	return nil
}
