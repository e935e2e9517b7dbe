package bus

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// refusal is a permission that the server has refused.
type refusal struct {
	err            error
	at             time.Time
	publish        bool   // else it is a subscription
	cloud          string // the one that it is about, or "" for all
	subject, queue string // subject is "" if the server's words are none that we know
}

// violation is how the server tells of a refused permission: in words, and quoted as Go does.
var violation = regexp.MustCompile(`(?i)violation for (publish|subscription) to ("(?:[^"\\]|\\.)*")(?: using queue ("(?:[^"\\]|\\.)*"))?`)

func readRefusal(err error) refusal {
	r := refusal{err: err, at: time.Now()}
	m := violation.FindStringSubmatch(err.Error())
	if m == nil {
		return r
	}
	r.publish = strings.EqualFold(m[1], "publish")
	if s, err := strconv.Unquote(m[2]); err == nil {
		r.subject = s
	}
	if s, err := strconv.Unquote(m[3]); err == nil {
		r.queue = s
	}
	return r
}

// what is the permission's name among those refused. The ids in subjects have no end, so they are left out.
func (r refusal) what() string {
	switch parts := strings.Split(r.subject, "."); {
	case r.subject == "":
		return limit(r.err.Error(), 200)
	case !r.publish && parts[0] == "_INBOX":
		return "inbox"
	case parts[0] == "$JS" && len(parts) > 3 && parts[1] == "ACK":
		return strings.Join(parts[:4], ".")
	case parts[0] == "$JS", parts[0] == "JS": // the API, wherever it is
		return r.subject
	case parts[0] == "$KV" && len(parts) > 1:
		return strings.Join(parts[:2], ".")
	}
	return kind(r.subject)
}

// mostRefused bounds what is remembered of refused permissions. One is enough not to be ready.
const mostRefused = 64

// isRefused remembers a refused permission until it is granted: the publish that met it only times out and cannot tell
// why. A reply subject that is refused does not count: the sender of a command named it, and must not be able to take
// the bridge out of service.
func (b *Conn) isRefused(err error) {
	if !b.ours(err.Error()) {
		return
	}
	r := readRefusal(err)
	r.cloud = b.cloudIn(r.subject)
	if stream, look := strings.CutPrefix(r.subject, b.cfg.API("STREAM.INFO.")); look && !b.cfg.Manage {
		b.health.hide(stream) // who may only bind need not be allowed to look
		return
	}
	b.health.mu.Lock()
	defer b.health.mu.Unlock()
	if what := r.what(); len(b.health.refused) < mostRefused || b.health.refused[what].err != nil {
		b.health.refused[what] = r
	}
}

// askRefused asks whether what was refused is granted by now: a server that is told other permissions applies them to
// the connections it has, and says nothing. A subscription that was refused is not there even then, and the client does
// not know that, so a new connection makes it again.
func (b *Conn) askRefused(ctx context.Context) {
	b.health.mu.Lock()
	refused := maps.Clone(b.health.refused)
	b.health.mu.Unlock()
	for what, r := range refused {
		if r.subject == "" || ctx.Err() != nil || !b.granted(ctx, r) {
			continue
		}
		b.log.InfoContext(ctx, "NATS grants a permission again", "subject", r.subject)
		b.health.mu.Lock()
		if b.health.refused[what].at.Equal(r.at) { // it was not refused again meanwhile
			delete(b.health.refused, what)
		}
		b.health.mu.Unlock()
		if !r.publish {
			if err := b.nc.ForceReconnect(); err != nil {
				b.log.WarnContext(ctx, "NATS connection cannot be renewed", "error", err)
			}
			return // all subscriptions are made again, and all permissions are forgotten
		}
	}
}

// granted asks for one permission. The server says no before it answers the flush.
func (b *Conn) granted(ctx context.Context, r refusal) bool {
	before := b.nc.LastError()
	if r.publish {
		if b.nc.PublishMsg(b.harmless(r.subject)) != nil {
			return false
		}
	} else {
		sub, err := b.nc.QueueSubscribeSync(r.subject, r.queue)
		if err != nil {
			return false
		}
		defer func() { _ = sub.Unsubscribe() }() // an error says that it is gone already
	}
	attempt, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	if b.nc.FlushWithContext(attempt) != nil {
		return false
	}
	after := b.nc.LastError()                                                         // each refusal is a new value, also if its words are the same
	return after == nil || after == before || readRefusal(after).subject != r.subject //nolint:errorlint // this very value
}

// harmless is a message that asks for the permission to publish, and does nothing if there is one: the server is to follow
// its way and to deliver it to nobody. To servers before 2.11, which do not know that, it is one for another stream, so
// that no stream stores it, or a word to the broker that changes nothing.
func (b *Conn) harmless(subject string) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Header["Nats-Trace-Dest"] = []string{b.nc.NewInbox()}
	m.Header["Nats-Trace-Only"] = []string{"true"}
	m.Header["Nats-Expected-Stream"] = []string{"none"}
	if strings.HasPrefix(subject, "$JS.ACK.") {
		m.Data = []byte("+WPI")
	}
	return m
}

// ours says whether a refused permission, of which the server tells in words only, is one that the bridge itself needs.
func (b *Conn) ours(violation string) bool {
	violation = strings.ToLower(violation)
	if strings.Contains(violation, `subscription to "$srv.`) { // who asks about our services gets no answer, and that is all
		return false
	}
	_, subject, toPublish := strings.Cut(violation, `publish to "`)
	if !toPublish {
		return true
	}
	if rest, ok := strings.CutPrefix(subject, strings.ToLower(b.cfg.API(""))); ok { // wherever the API is
		subject = strings.ToLower(dial.DefaultAPI) + "." + rest
		if strings.HasPrefix(rest, "$") { // what is written to buckets by way of the API
			subject = rest
		}
	}
	originals := strings.ToLower(b.cfg.Prefix.OriginalBucket(""))
	if strings.HasPrefix(subject, "$o."+originals) || strings.HasPrefix(subject, string(b.cfg.Prefix)+".command.") ||
		strings.HasPrefix(subject, "$js.") && strings.Contains(subject, "obj_"+originals) && !strings.HasPrefix(subject, "$js.api.stream.info.") {
		return false // only what a stream refuses needs them, and its sender must not be able to take us out of service
	}
	for _, cloud := range b.cfg.Clouds {
		for _, c := range b.cfg.Plan().Exchange(cloud) { // only large files and large answers need them
			bucket := strings.ToLower(c.Bucket)
			if strings.HasPrefix(subject, "$o."+bucket+".") || strings.HasPrefix(subject, "$js.") && strings.Contains(subject, "obj_"+bucket) {
				return false
			}
		}
	}
	return strings.HasPrefix(subject, "$") || strings.HasPrefix(subject, string(b.cfg.Prefix)+".")
}

// onlyForAdvisories says whether a refused permission is one that only the care for what the broker gives up needs. Without
// it, events and commands go on.
func (b *Conn) onlyForAdvisories(violation error) bool {
	r := readRefusal(violation)
	return r.publish && slices.ContainsFunc(b.cfg.Clouds, func(cloud string) bool {
		return topology.OnlyForAdvisories(r.subject, b.cfg.APIRoot(), b.cfg.Prefix, cloud)
	})
}
