package lookup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/bus/state"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// Outcome says whether the copy of an object may be used.
type Outcome string

// The outcomes of a lookup. Only with Fresh there is a copy to use.
const (
	Fresh   Outcome = "fresh"   // it is as new as it has to be
	Stale   Outcome = "stale"   // it is older
	Waiting Outcome = "waiting" // an event of the object is not in it yet
	Absent  Outcome = "absent"  // there is no copy, or not all of it, or the object is gone
	Failed  Outcome = "failed"  // NATS did not say, or not in time
)

// Found is what was found.
type Found struct {
	Outcome Outcome
	// Text is the object as factro sent it, and Age how long ago the mirror began to read it. They are empty unless the outcome is Fresh.
	Text []byte
	Age  time.Duration
	// Err is why the lookup failed. It is nil for all other outcomes.
	Err error
}

// timeout bounds a lookup. Who asks factro instead waits for it, too.
const timeout = time.Second

// Copy is the mirror's copy of the objects of one cloud.
type Copy struct {
	conn   stored.Conn
	prefix events.Prefix
	cloud  string
	bucket string
}

// New returns the copy of a cloud. It asks nobody.
func New(conn stored.Conn, cloud string) *Copy {
	p := conn.Settings().Prefix
	return &Copy{conn: conn, prefix: p, cloud: cloud, bucket: change.Bucket(p, cloud)}
}

// Find looks an object up. The copy may be maxAge old.
func (c *Copy) Find(ctx context.Context, resource, id string, maxAge time.Duration) Found {
	if events.Token(id) != id || events.Token(resource) != resource { // several objects would share such a key
		return Found{Outcome: Absent}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// The entry last: what came and was covered before it was read is in it.
	k, err := c.known(ctx, resource, id)
	if err == nil {
		var e *jetstream.RawStreamMsg
		if e, err = c.last(ctx, c.state(), "$KV."+c.bucket+"."+change.Key(c.cloud, resource, id)); err == nil {
			return k.judge(e, resource, maxAge)
		}
	}
	if missing(err) {
		return Found{Outcome: Absent}
	}
	return Found{Outcome: Failed, Err: fmt.Errorf("look an object up in the mirror: %w", err)}
}

// missing says whether there is no mirror, or it has never seen the object.
func missing(err error) bool {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return ok && refused.ErrorCode == jetstream.JSErrCodeStreamNotFound || errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrStreamNotFound)
}

func (c *Copy) state() string { return "KV_" + c.bucket }

// known is what is known of an object beside its copy.
type known struct {
	event    *jetstream.RawStreamMsg // the last one of the object, nil if there is none
	created  time.Time               // when the stream of events was made
	progress state.Progress
}

var errNotAllowed = errors.New("the leaders of the streams may not be asked")

// known asks for all of it at once.
func (c *Copy) known(ctx context.Context, resource, id string) (k known, _ error) {
	stream, h := c.prefix.EventStream(c.cloud), c.conn.Health()
	if h.OnlyDirect(stream) || h.OnlyDirect(c.state()) || h.OnlyDirect("KV_"+topology.ReconcileBucket(c.prefix)) || h.Hidden(stream) {
		return k, errNotAllowed // the servers would not answer, and the requester would wait
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() (err error) {
		k.event, err = c.last(ctx, stream, string(c.prefix)+".event."+c.cloud+"."+resource+"."+id+".>")
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		return err
	})
	parts.Go(func() error {
		s, err := c.conn.JetStream().Stream(ctx, stream)
		if err == nil {
			k.created = s.CachedInfo().Created
		}
		return err
	})
	parts.Go(func() error {
		value, err := lease.Value(ctx, c.conn, lease.Key(lease.Mirror, c.cloud))
		if err != nil || len(value) == 0 {
			return err
		}
		return json.Unmarshal(value, &k.progress)
	})
	err := parts.Wait()
	return k, err
}

func (c *Copy) last(ctx context.Context, stream, subject string) (*jetstream.RawStreamMsg, error) {
	return stored.On(c.conn).FromLeader(ctx, stream, map[string]any{"last_by_subj": subject})
}

// judge says whether an entry may be used.
func (k known) judge(entry *jetstream.RawStreamMsg, resource string, maxAge time.Duration) Found {
	h := delivery.Header(entry.Header)
	// Until the first copy is complete, entries may be left from a time when the resource was mirrored before.
	mirrored := slices.Contains(k.progress.Resources, resource) && !k.progress.Complete.IsZero()
	gone := h.Get("KV-Operation") != "" || h.Get("Nats-Marker-Reason") != ""
	read, err := time.Parse(time.RFC3339Nano, h.Get(change.HeaderReadAt))
	if err != nil || gone || !mirrored || h.Get(change.HeaderDropped) != "" || len(entry.Data) == 0 {
		return Found{Outcome: Absent}
	}
	age := max(time.Since(read), 0) // the bridge that has read it may have another clock
	switch {
	case age > maxAge:
		return Found{Outcome: Stale}
	case !k.covered(strings.Fields(h.Get(change.HeaderCause))):
		return Found{Outcome: Waiting}
	}
	return Found{Outcome: Fresh, Text: entry.Data, Age: age}
}

// covered says whether the mirror has read the object after its last event. The progress is saved every few seconds only, but the events
// that led to an entry are named in it.
func (k known) covered(causes []string) bool {
	if k.event == nil {
		return true
	}
	if k.event.Sequence < k.progress.Next && k.progress.Created.Equal(k.created) { // else it is the place in another stream
		return true
	}
	e, err := events.FromMsg(k.event.Header, k.event.Data)
	return err == nil && slices.Contains(causes, state.Causes([]string{e.ID()}))
}
