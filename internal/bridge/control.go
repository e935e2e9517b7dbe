package bridge

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/bus/notices"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/control"
	"github.com/factro-bridge/factro-bridge/internal/control/store"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notice"
)

// steering has what operators have paused, and tells people what changes about the bridge.
type steering struct {
	board    *control.Board
	follower *store.Follower
	sender   *notices.Sender
	cfg      config.Config
	prefix   events.Prefix
	window   time.Duration // how long the streams recognise a message id
	bridge   string        // the name of this process for people
	process  string        // and for ids
	log      *slog.Logger

	mu   sync.Mutex
	held map[string]holding // the last pause of a cloud's webhooks that ended
}

// holding is a time in which webhooks were held back.
type holding struct{ from, to time.Time }

func newSteering(cfg config.Config, broker *bus.Conn, log *slog.Logger) *steering {
	host, err := os.Hostname()
	if err != nil { // it is for people
		host = "unknown"
	}
	s := &steering{
		board: control.NewBoard(), sender: notices.New(broker, log), cfg: cfg, prefix: events.Prefix(cfg.NATS.Prefix),
		window: broker.Settings().Plan().Window(), bridge: host + "/" + strconv.Itoa(os.Getpid()), process: rand.Text(), log: log, held: map[string]holding{},
	}
	s.follower = store.Follow(broker, s.board, s.pauseChanged, log)
	return s
}

// apiChanged hears of changes of the way to a cloud's Core API.
func (s *steering) apiChanged(cloud string) func(coreapi.Change) {
	return func(c coreapi.Change) {
		n := notice.Notice{Cloud: cloud, Bridge: s.bridge, Since: coreapi.Instant(c.Since), Cause: c.Cause, NextAttempt: coreapi.Instant(c.Next)}
		s.report(c.What, c.What+"."+s.process+"."+strconv.FormatInt(time.Now().UnixNano(), 36), n)
	}
}

// tookOver hears of work that this bridge has taken over from another one.
func (s *steering) tookOver(t lease.Takeover) {
	s.report(notice.Takeover, notice.Takeover+"."+s.process+"."+strconv.FormatInt(time.Now().UnixNano(), 36), notice.Notice{
		Cloud: t.Cloud, Bridge: s.bridge, Work: t.Work, From: t.From, To: t.To, Silent: t.Silent,
	})
}

// pauseChanged hears of each pause that begins or ends, as all bridges do. All give the event the same id, so the stream keeps one
// of them as long as it recognises ids; who sees a pause of long ago, as after a start, reports nothing.
func (s *steering) pauseChanged(c store.Change) {
	if !slices.ContainsFunc(s.cfg.Clouds, func(cloud config.Cloud) bool { return cloud.Name == c.Cloud }) {
		return
	}
	what, who, why := notice.Paused, c.Pause.Who, c.Pause.Why
	if c.Ended {
		what, who, why = notice.Resumed, "", ""
		if c.By != nil {
			who, why = c.By.Who, c.By.Why
		}
		if c.Direction == control.WebhooksOut {
			s.mu.Lock()
			s.held[c.Cloud] = holding{c.Pause.When, time.Now()}
			s.mu.Unlock()
		}
	}
	s.log.Info("an operator has "+what+" a part of the bridge", "cloud", c.Cloud, "direction", string(c.Direction), "who", who, "why", why) //nolint:sloglint // one of two words
	if text := s.ineffective(c.Direction); text != "" && !c.Ended {
		s.log.Warn("a pause has no effect on this process", "cloud", c.Cloud, "direction", string(c.Direction), "why", text)
	}
	if time.Since(c.At) > s.window/2 {
		return
	}
	which := strconv.FormatUint(c.Revision, 10)
	if c.Revision == 0 {
		which = strconv.FormatInt(c.Pause.When.Unix(), 10)
	}
	id := fmt.Sprintf("%s.%s.%s.%s", what, c.Cloud, c.Direction, which)
	s.report(what, id, notice.Notice{
		Cloud: c.Cloud, Bridge: s.bridge, Since: coreapi.Instant(c.Pause.When), Direction: string(c.Direction), Who: who, Why: why,
	})
}

// ineffective says why a pause of a direction changes nothing for this process, although it does the work; or "".
func (s *steering) ineffective(d control.Direction) string {
	if d == control.WebhooksOut && s.cfg.Has(config.RoleIngress) && s.cfg.Spool.Dir == "" {
		return "without spool.dir webhooks have nowhere to wait, so they are published all the same"
	}
	return ""
}

func (s *steering) report(what, id string, n notice.Notice) {
	e, err := translate.Notice(what, id, n, time.Now())
	if err == nil {
		msg, packed := events.ToMsg(s.prefix.Notice(n.Cloud, what), e)
		if err = packed; err == nil {
			s.sender.Send(n.Cloud, msg, n.Cloud+"."+id)
			return
		}
	}
	s.log.Warn("an event of the bridge itself cannot be made", "error", err)
}

// readiness adds what is paused. It decides nothing: a pause is no failure.
func (s *steering) readiness(r *readiness) {
	for _, cloud := range s.cfg.Clouds {
		for _, d := range control.Directions() {
			p, paused := s.board.Paused(cloud.Name, d)
			if !paused {
				continue
			}
			text := string(d) + " " + p.String()
			if why := s.ineffective(d); why != "" {
				text += "; " + why
			}
			r.add(cloud.Name, text)
		}
	}
}

// observe makes the metric of what is paused, until the returned function is called.
func (s *steering) observe() (stop func(), err error) {
	build := instrument.New(scope)
	paused := build.Gauge("factro.bridge.paused", "", "1 while an operator has paused a direction of a cloud, else 0.")
	registered := build.Observe(func(_ context.Context, o metric.Observer) error {
		for _, cloud := range s.cfg.Clouds {
			for _, d := range control.Directions() {
				_, is := s.board.Paused(cloud.Name, d)
				o.ObserveInt64(paused, oneIf(is), metric.WithAttributes(attribute.String("factro.cloud", cloud.Name), attribute.String("direction", string(d))))
			}
		}
		return nil
	})
	if err := build.Err(); err != nil {
		return nil, err
	}
	return func() { _ = registered.Unregister() }, nil // there is nothing left to observe, so its error tells nobody anything
}

// webhooks are the pauses of webhooks-out, for the spool. Until the pauses are known, webhooks wait: what was paused before the
// process started still is.
type webhooks struct{ board *control.Board }

func (w webhooks) Paused(cloud string) bool {
	_, paused := w.board.Paused(cloud, control.WebhooksOut)
	return paused || !w.board.Known()
}

func (w webhooks) AwaitFree(ctx context.Context, cloud string) error {
	return w.board.AwaitFree(ctx, cloud, control.WebhooksOut)
}

// resumedSpool is the spool for the reconciliation: while webhooks are paused, other processes hold them back too, and what
// is missing in the stream is not lost.
type resumedSpool struct {
	spool interface {
		Drained(ctx context.Context, cloud string) error
	}
	webhooks
}

func (s resumedSpool) Drained(ctx context.Context, cloud string) error {
	if err := s.AwaitFree(ctx, cloud); err != nil {
		return err
	}
	return s.spool.Drained(ctx, cloud)
}

// outage is the time in which the events of a cloud were held back last: NATS was away, or an operator had paused its webhooks.
func (s *steering) outage(cloud string, lost, back time.Time) (time.Time, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, was := s.held[cloud]
	switch {
	case !was:
		return lost, back
	case back.IsZero(), h.to.After(back.Add(s.cfg.Reconcile.Grace)): // the older one counts no more
		return h.from, h.to
	case h.from.Before(lost):
		lost = h.from
	}
	if h.to.After(back) {
		back = h.to
	}
	return lost, back
}
