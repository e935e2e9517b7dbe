package health

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// Refusal is a permission that the server has refused.
type Refusal struct {
	// Err is the error of the server.
	Err error
	// Publish says that it is a permission to publish; else it is one to subscribe.
	Publish bool
	// Subject is "" if the server's words are none that we know.
	Subject string

	queue string
	cloud string // the one that it is about, or "" for all
	at    time.Time
}

// violation is how the server reports a refused permission: as text, quoted as Go does.
var violation = regexp.MustCompile(`(?i)violation for (publish|subscription) to ("(?:[^"\\]|\\.)*")(?: using queue ("(?:[^"\\]|\\.)*"))?`)

// ReadRefusal reads an error of the server about a refused permission.
func ReadRefusal(err error) Refusal {
	r := Refusal{Err: err, at: time.Now()}
	m := violation.FindStringSubmatch(err.Error())
	if m == nil {
		return r
	}
	r.Publish = strings.EqualFold(m[1], "publish")
	if s, err := strconv.Unquote(m[2]); err == nil {
		r.Subject = s
	}
	if s, err := strconv.Unquote(m[3]); err == nil {
		r.queue = s
	}
	return r
}

// what is the permission's name among those refused. The ids in subjects have no end, so they are left out.
func (r Refusal) what() string {
	text := r.Err.Error()
	switch parts := strings.Split(r.Subject, "."); {
	case r.Subject == "":
		return strings.ToValidUTF8(text[:min(len(text), 200)], "")
	case !r.Publish && parts[0] == "_INBOX":
		return "inbox"
	case parts[0] == "$JS" && len(parts) > 3 && parts[1] == "ACK":
		return strings.Join(parts[:4], ".")
	case parts[0] == "$JS", parts[0] == "JS": // the API, wherever it is
		return r.Subject
	case parts[0] == "$KV" && len(parts) > 1:
		return strings.Join(parts[:2], ".")
	}
	return measure.Destination(r.Subject)
}

// MostRefused bounds what is remembered of refused permissions. One is enough not to be ready.
const MostRefused = 64

// Refused records an error of the server about a refused permission. handled says that nobody else needs to report it.
func (h *Health) Refused(err error) (handled bool) {
	switch {
	case h.onlyDirect(ReadRefusal(err)):
		return true
	case onlyForAdvisories(h.cfg, err): // their reader reports it
		h.log.Debug("NATS refuses a permission for advisories", "error", err)
		return true
	case onlyForDelayed(h.cfg, err): // who keeps them reports it
		if stream, ok := strings.CutPrefix(ReadRefusal(err).Subject, h.cfg.API("STREAM.INFO.")); ok {
			h.note(h.hidden, stream)
		}
		h.log.Warn("NATS refuses a permission that delayed commands need; commands with notbefore are rejected, or cannot be cancelled", "error", err)
		return true
	}
	h.isRefused(err)
	return false
}

// Checked is the result of a check of the streams that began then: of the clouds without an error it has found all well. What
// was refused is asked for again.
func (h *Health) Checked(ctx context.Context, nc *nats.Conn, began time.Time, errs map[string]error) {
	h.foundWell(began, errs)
	h.askRefused(ctx, nc)
}

// isRefused remembers a refused permission until it is granted: the publish that met it only times out and cannot tell
// why. A reply subject that is refused does not count: the sender of a command named it, and must not be able to take
// the bridge out of service.
func (h *Health) isRefused(err error) {
	if !ours(h.cfg, err.Error()) {
		return
	}
	r := ReadRefusal(err)
	r.cloud = cloudIn(h.cfg, r.Subject)
	if stream, ok := strings.CutPrefix(r.Subject, h.cfg.API("STREAM.INFO.")); ok && !h.cfg.Manage {
		h.note(h.hidden, stream) // a bridge that only binds need not have this right
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if what := r.what(); len(h.refused) < MostRefused || h.refused[what].Err != nil {
		h.refused[what] = r
	}
}

// askRefused asks whether what was refused is granted by now: a server that gets new permissions applies them to
// its connections, and reports nothing. A subscription that was refused is not there even then, and the client does
// not know that, so a new connection makes it again.
func (h *Health) askRefused(ctx context.Context, nc *nats.Conn) {
	h.mu.Lock()
	refused := maps.Clone(h.refused)
	h.mu.Unlock()
	for what, r := range refused {
		if r.Subject == "" || ctx.Err() != nil || !granted(ctx, nc, r) {
			continue
		}
		h.log.InfoContext(ctx, "NATS grants a permission again", "subject", r.Subject)
		h.mu.Lock()
		if h.refused[what].at.Equal(r.at) { // it was not refused again meanwhile
			delete(h.refused, what)
		}
		h.mu.Unlock()
		if !r.Publish {
			if err := nc.ForceReconnect(); err != nil {
				h.log.WarnContext(ctx, "NATS connection cannot be renewed", "error", err)
			}
			return // all subscriptions are made again, and all permissions are forgotten
		}
	}
}

// MayPublish asks whether the user of a connection may publish to a subject, by a message that nobody gets. The server has to be of
// version 2.11 or later. known is false if the user may not publish to inboxes either: then the server does not check the subject.
func MayPublish(ctx context.Context, nc *nats.Conn, subject string) (may, known bool) {
	return ask(ctx, nc, Refusal{Publish: true, Subject: subject})
}

// MayRead asks whether the user of a connection may publish to a subject by doing so, without a reply subject. It is for requests to the
// API of JetStream that only read.
func MayRead(ctx context.Context, nc *nats.Conn, subject string) bool {
	before := nc.LastError()
	attempt, cancel := context.WithTimeout(ctx, dial.AttemptTimeout)
	defer cancel()
	if nc.Publish(subject, nil) != nil || nc.FlushWithContext(attempt) != nil {
		return false
	}
	after := nc.LastError()
	return after == nil || after == before || ReadRefusal(after).Subject != subject //nolint:errorlint // this very value, see ask
}

// MaySubscribe is the same for a subscription, which it makes for a moment. The subject should be one that nobody publishes to.
func MaySubscribe(ctx context.Context, nc *nats.Conn, subject string) bool {
	return granted(ctx, nc, Refusal{Subject: subject})
}

// granted asks for one permission. The server says no before it answers the flush.
func granted(ctx context.Context, nc *nats.Conn, r Refusal) bool {
	is, _ := ask(ctx, nc, r)
	return is
}

// ask is granted that also says whether the server has checked the permission.
func ask(ctx context.Context, nc *nats.Conn, r Refusal) (granted, known bool) {
	before, inbox := nc.LastError(), nc.NewInbox()
	if r.Publish {
		if nc.PublishMsg(harmless(r.Subject, inbox)) != nil {
			return false, false
		}
	} else {
		sub, err := nc.QueueSubscribeSync(r.Subject, r.queue)
		if err != nil {
			return false, false
		}
		defer func() { _ = sub.Unsubscribe() }() // an error says that it is gone already
	}
	attempt, cancel := context.WithTimeout(ctx, dial.AttemptTimeout)
	defer cancel()
	if nc.FlushWithContext(attempt) != nil {
		return false, false
	}
	after := nc.LastError()              // each refusal is a new value, also if its words are the same
	if after == nil || after == before { //nolint:errorlint // this very value
		return true, true
	}
	refused := ReadRefusal(after).Subject
	return refused != r.Subject, refused != inbox
}

// harmless is a message that asks for the permission to publish, and does nothing if there is one: the server is to follow
// its way and to deliver it to nobody. To servers before 2.11, which do not know that, it is one for another stream, so
// that no stream stores it, or a note to the broker that changes nothing.
func harmless(subject, inbox string) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Header["Nats-Trace-Dest"] = []string{inbox}
	m.Header["Nats-Trace-Only"] = []string{"true"}
	m.Header["Nats-Expected-Stream"] = []string{"none"}
	if strings.HasPrefix(subject, "$JS.ACK.") {
		m.Data = []byte("+WPI")
	}
	return m
}

// ours reports whether the bridge itself needs a refused permission. The server reports it as text only.
func ours(cfg dial.Config, violation string) bool {
	violation = strings.ToLower(violation)
	if strings.Contains(violation, `subscription to "$srv.`) { // who asks about our services gets no answer, and that is all
		return false
	}
	_, subject, toPublish := strings.Cut(violation, `publish to "`)
	if !toPublish {
		return true
	}
	if rest, ok := strings.CutPrefix(subject, strings.ToLower(cfg.API(""))); ok { // wherever the API is
		subject = strings.ToLower(dial.DefaultAPI) + "." + rest
		if strings.HasPrefix(rest, "$") { // what is written to buckets by way of the API
			subject = rest
		}
	}
	if topology.OnlyForControl(subject, cfg.Prefix) {
		return false // what needs it reports it
	}
	originals := strings.ToLower(cfg.Prefix.OriginalBucket(""))
	if strings.HasPrefix(subject, "$o."+originals) || strings.HasPrefix(subject, string(cfg.Prefix)+".command.") ||
		strings.HasPrefix(subject, "$js.") && strings.Contains(subject, "obj_"+originals) && !strings.HasPrefix(subject, "$js.api.stream.info.") {
		return false // only what a stream refuses needs them, and its sender must not be able to take us out of service
	}
	if keys := strings.ToLower(topology.KeysBucket(cfg.Prefix, "")); strings.HasPrefix(subject, "$kv."+keys) ||
		strings.HasPrefix(subject, "$js.") && strings.Contains(subject, "kv_"+keys) {
		return false // only commands and queries with external keys need them
	}
	if topology.OnlyForMirror(subject, cfg.Prefix, cfg.Clouds) {
		return false
	}
	for _, cloud := range cfg.Clouds {
		for _, c := range cfg.Plan().Exchange(cloud) { // only large files and large answers need them
			bucket := strings.ToLower(c.Bucket)
			if strings.HasPrefix(subject, "$o."+bucket+".") || strings.HasPrefix(subject, "$js.") && strings.Contains(subject, "obj_"+bucket) {
				return false
			}
		}
	}
	return strings.HasPrefix(subject, "$") || strings.HasPrefix(subject, string(cfg.Prefix)+".")
}

// onlyForAdvisories says whether a refused permission is one that only the care for what the broker gives up needs. Without
// it, events and commands go on.
func onlyForAdvisories(cfg dial.Config, violation error) bool {
	r := ReadRefusal(violation)
	return r.Publish && slices.ContainsFunc(cfg.Clouds, func(cloud string) bool {
		return topology.OnlyForAdvisories(r.Subject, cfg.APIRoot(), cfg.Prefix, cloud)
	})
}

// onlyForDelayed says whether a refused permission is one that only delayed commands need. Others go on without it.
func onlyForDelayed(cfg dial.Config, violation error) bool {
	r := ReadRefusal(violation)
	return slices.ContainsFunc(cfg.Clouds, func(cloud string) bool {
		return topology.OnlyForDelayed(r.Subject, cfg.APIRoot(), cfg.Prefix, cloud)
	})
}

// onlyDirect notes that the leader of a stream may not be asked, and says whether that is what was refused. Then any server
// answers for it, as before this right was needed.
func (h *Health) onlyDirect(r Refusal) bool {
	stream, ok := strings.CutPrefix(r.Subject, h.cfg.API("STREAM.MSG.GET."))
	if !ok || !r.Publish {
		return false
	}
	h.note(h.directly, stream)
	if skipped, due := h.samples.Due("direct "+stream, time.Now()); due {
		h.log.Warn("the leader of a stream may not be asked, so any server answers for it, and one that has stopped answers with the past; grant the permission",
			"permission", r.Subject, "stream", stream, "not_logged", skipped)
	}
	return true
}

func (h *Health) note(streams map[string]bool, stream string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	streams[stream] = true
}
