package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/connlimit"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/logsample"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Store keeps what arrived. It returns nil only when that is durable. An error may have a method RetryAfter that tells
// how long the sender should wait; events.ErrTooLarge says that waiting does not help.
type Store interface {
	// Publish keeps an event, under its id, or under one of its own if that is the id of an event with another body. Any text
	// may stand in its destination. spooled says that it is not in the stream yet.
	Publish(ctx context.Context, to events.EventAddress, e event.Event, id string) (storedAs string, spooled bool, err error)
	// Quarantine keeps bytes for a cloud that could not be made into an event, with the reason and with the headers of their
	// request.
	Quarantine(ctx context.Context, cloud, id, code string, reason error, data []byte, request http.Header) error
}

// Server answers the webhooks of all configured clouds.
type Server struct {
	cfg      Config
	store    Store
	log      *slog.Logger
	clouds   map[string]*cloud
	prefix   []string // segments of http.path_prefix
	slots    *shares  // how many webhooks may be stored at once
	memory   *shares  // bytes of those that are read and stored
	conns    *connlimit.Limiter
	throttle throttle
	samples  *logsample.Sampler
	account  account
	metrics  *metrics
	drift    *drift
	// unpacking has room for the one body that is unpacked or converted.
	unpacking chan struct{}
	tracer    trace.Tracer
	newID     func() string
}

type cloud struct {
	Cloud
	door *door
}

// New builds the server.
func New(cfg Config, store Store, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Files == nil {
		var err error
		if cfg.Files, err = lastgood.NewFiles(log); err != nil {
			return nil, err
		}
	}
	s := &Server{
		cfg: cfg, store: store, log: log, clouds: map[string]*cloud{},
		slots: newShares(int64(cfg.MaxInFlight), len(cfg.Clouds)), memory: newShares(cfg.MaxMemory, len(cfg.Clouds)),
		unpacking: make(chan struct{}, 1), prefix: segments(cfg.PathPrefix),
		tracer: otel.Tracer(scope),
		newID:  func() string { return uuid.Must(uuid.NewV7()).String() },
	}
	s.samples = logsample.New(sampleEvery)
	s.conns = connlimit.New(connlimit.Config{
		Max: cfg.MaxConnections, PerAddress: cfg.MaxConnectionsPerAddress, Patience: patience, Owners: len(cfg.Clouds), Dropped: s.dropped,
	})
	for _, c := range cfg.Clouds {
		d := &door{header: c.Header, log: log.With("cloud", c.Name)}
		for _, source := range c.Secrets {
			d.readers = append(d.readers, secret.NewReader(source, cfg.Files, lastgood.WebhookSecret, CheckSecret))
		}
		s.clouds[c.Name] = &cloud{c, d}
	}
	var err error
	if s.metrics, err = newMetrics(s); err != nil {
		return nil, err
	}
	s.drift, err = newDrift(cfg.KnownActions, s.samples, log)
	return s, err
}

// Run serves on l until ctx ends, and then finishes what is in flight within grace. tlsConfig may be nil.
func (s *Server) Run(ctx context.Context, l net.Listener, tlsConfig *tls.Config, grace time.Duration) error {
	srv := &http.Server{
		Handler: s.Handler(), TLSConfig: tlsConfig,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: s.cfg.IdleTimeout, MaxHeaderBytes: 2*s.cfg.MaxHeader - headerSlop,
		// It runs from the end of the header, so a slow body and a slow store must leave time to say that all is well.
		WriteTimeout: readTimeout + s.cfg.StoreTimeout + answerTimeout,
		HTTP2:        s.http2(),
		// Else net/http answers OPTIONS * with 200, and nobody hears of it.
		DisableGeneralOptionsHandler: true,

		ErrorLog: slog.NewLogLogger(errorLog{s.log.Handler(), s}, slog.LevelDebug),
	}
	s.conns.Apply(srv)
	l = s.conns.Listen(l)
	for name, c := range s.clouds {
		c.door.check(ctx)
		s.metrics.expect(ctx, name)
		s.drift.expect(ctx, name)
	}
	served := make(chan error, 1)
	go func() {
		if tlsConfig != nil {
			served <- srv.ServeTLS(l, "", "")
		} else {
			served <- srv.Serve(l)
		}
	}()
	select {
	case err := <-served:
		return fmt.Errorf("webhook server: %w", errors.Join(err, srv.Close()))
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := srv.Shutdown(stop)
	<-served //nolint:errcheck // it says that it was shut down
	if err != nil {
		return fmt.Errorf("webhook server: requests were cut off: %w", errors.Join(err, srv.Close()))
	}
	return nil
}

// webhook works on one request, and returns the cloud's name, the id of the event and the answer.
func (s *Server) webhook(ctx context.Context, w http.ResponseWriter, r *http.Request) (name, id string, p problem) {
	name = r.PathValue("cloud")
	c, known := s.clouds[name]
	if !known {
		return "unknown", "", unknownCloud // a stranger's invention is no label
	}
	id, p = s.survive(ctx, c, func() (string, problem) { return s.receive(ctx, c, w, r) })
	if p.lost && s.cfg.OnLost != nil {
		s.cfg.OnLost(name)
	}
	return name, id, p
}

// survive calls do and answers for a panic. net/http would hang up without a word and log it as it logs strangers' broken
// connections, which nobody reads.
func (s *Server) survive(ctx context.Context, c *cloud, do func() (string, problem)) (id string, p problem) {
	defer func() {
		if v := recover(); v != nil {
			s.log.ErrorContext(ctx, "a webhook made the bridge panic", "cloud", c.Name,
				"error", fmt.Sprint(v), "stack", string(debug.Stack()))
			id, p = "", ourMistake
		}
	}()
	return do()
}

// receive takes one request apart and returns the id of the stored event, or why there is none. The order matters: the
// secret before anything that costs, the body before the slot, so that a slow sender holds none.
func (s *Server) receive(ctx context.Context, c *cloud, w http.ResponseWriter, r *http.Request) (id string, _ problem) {
	known := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodPost
	switch {
	case len(r.TransferEncoding) > 0 && connlimit.Of(ctx).HasLength():
		return "", ambiguous
	case known && r.ContentLength == 0 && strings.Join(r.Header.Values(c.Header), "") == "":
		return "", harmless // factro, or a balancer, may look whether somebody is here
	case !known:
		w.Header().Set("Allow", "POST, GET, HEAD")
		return "", wrongMethod
	}
	switch why := c.door.refuses(r); why {
	case "":
	case secretUnusable: // whether the sender's is right cannot be said yet, so it is to come again
		return "", noSecret.since(why)
	default:
		if wait := s.throttle.wrongSecret(connlimit.AddressOf(r.RemoteAddr), time.Now()); wait > 0 {
			return "", tooManyWrong.after(wait)
		}
		w.Header().Set("WWW-Authenticate", "Webhook")
		return "", wrongSecret.since(why)
	}
	connlimit.Of(ctx).Shown(c.Name)
	switch {
	case r.Method != http.MethodPost:
		if skipped, due := s.due(c, "redirected"); due {
			s.log.WarnContext(ctx, "a request with the right secret is no POST: was the webhook's URL redirected? A 301, 302 or 303 makes a GET of a webhook, and its body is lost",
				"cloud", c.Name, "method", method(r.Method), "not_logged", skipped)
		}
		w.Header().Set("Allow", "POST")
		return "", redirected
	case r.ContentLength == 0:
		return "", s.withoutBody(ctx, c)
	case r.ContentLength > s.cfg.MaxBody:
		return "", s.sizeProblem()
	}
	return s.take(ctx, c, w, r)
}

// Unusable says of each cloud that can admit nobody, since none of its secrets can be read, why that is so.
func (s *Server) Unusable() map[string]error {
	out := map[string]error{}
	for name, c := range s.clouds {
		if err := c.door.unusable(); err != nil {
			out[name] = err
		}
	}
	return out
}

// withoutBody answers a webhook that brought nothing.
func (s *Server) withoutBody(ctx context.Context, c *cloud) problem {
	if skipped, due := s.due(c, "empty"); due {
		s.log.WarnContext(ctx, "a webhook with the right secret has no body: does a proxy drop it?", "cloud", c.Name, "not_logged", skipped)
	}
	return empty
}

// take reads a webhook's body and has it stored.
func (s *Server) take(ctx context.Context, c *cloud, w http.ResponseWriter, r *http.Request) (id string, _ problem) {
	l := &load{shares: s.memory, cloud: c.Name}
	body, p := s.read(w, r, l)
	switch {
	case p != accepted:
	case len(body) == 0:
		p = s.withoutBody(ctx, c)
	case !s.slots.take(c.Name, 1):
		p = overloaded.after(time.Second)
	}
	if p != accepted {
		l.free()
		return "", p
	}
	return s.within(ctx, c, s.newDelivery(c, r, body, l), func() {
		s.slots.give(c.Name, 1)
		l.free()
	})
}

// errHangs stands for what the store would say.
var errHangs = errors.New("the store does not answer")

// within stores a webhook, and answers in time whatever the store does. What the store still holds when the time is over
// keeps its slot and its memory until the store lets go of it, and done is called.
func (s *Server) within(ctx context.Context, c *cloud, d delivery, done func()) (id string, _ problem) {
	// The body is here, and perhaps factro never sends it again: a sender that hangs up now does not stop it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StoreTimeout)
	type outcome struct {
		id string
		p  problem
	}
	stored := make(chan outcome)
	gaveUp := make(chan struct{})
	go func() {
		defer cancel()
		var o outcome
		o.id, o.p = s.survive(ctx, c, func() (string, problem) { return s.keep(ctx, c, d) })
		done()
		select {
		case stored <- o:
		case <-gaveUp:
			s.account.late(o.p.keeps())
		}
	}()
	timer := time.NewTimer(s.cfg.StoreTimeout + storeMargin)
	defer timer.Stop()
	select {
	case o := <-stored:
		return o.id, o.p
	case <-timer.C:
		s.account.hanging.Add(1)
		close(gaveUp)
		return "", s.lost(ctx, c, errHangs)
	}
}

func (s *Server) sizeProblem() problem {
	return tooLarge.because("the body, unpacked and as UTF-8, is larger than " + strconv.FormatInt(s.cfg.MaxBody, 10) + " bytes")
}

// keep makes an event of the body and stores it. A body that cannot be one came from somebody who knows the secret, so
// it is kept as well.
func (s *Server) keep(ctx context.Context, c *cloud, d delivery) (id string, _ problem) {
	body, p, err := s.decode(ctx, d)
	switch {
	case err != nil:
		return "", s.quarantine(ctx, c, d, p, err)
	case p != accepted:
		return "", p
	}
	e, err := translate.Webhook(body, translate.Receipt{
		Cloud: c.Name, Source: c.Source, At: time.Now(), Origin: "webhook", NewID: s.newID,
	})
	if err != nil {
		return "", s.quarantine(ctx, c, d, unusable, err)
	}
	to := events.EventAddress{Cloud: c.Name, Resource: e.Resource, ID: e.EntityID, Action: e.Action}
	storedAs, waits, err := s.store.Publish(ctx, to, e.Event, c.Name+"."+e.ID())
	if errors.Is(err, events.ErrTooLarge) {
		return "", s.oversized(ctx, c, d, err)
	}
	if err != nil {
		return "", s.lost(ctx, c, err)
	}
	s.drift.look(ctx, c.Name, e)
	if waits {
		return storedAs, spooled
	}
	return storedAs, accepted
}

// quarantine keeps a body that is no event among the dead letters, and answers with a problem that says why.
func (s *Server) quarantine(ctx context.Context, c *cloud, d delivery, p problem, why error) problem {
	err := s.store.Quarantine(ctx, c.Name, c.Name+".dead."+s.newID(), "unusable", fmt.Errorf("webhook: %w", why), d.body, d.header)
	if err != nil {
		return s.lost(ctx, c, err)
	}
	s.log.WarnContext(ctx, "a webhook's body is no event; it is kept as a dead letter", "cloud", c.Name, "bytes", len(d.body), "status", p.Status)
	return p.because("webhook: " + why.Error())
}

// oversized keeps the body of a webhook whose event no message can hold among the dead letters: from there it can be sent
// on once the broker takes it.
func (s *Server) oversized(ctx context.Context, c *cloud, d delivery, why error) problem {
	err := s.store.Quarantine(ctx, c.Name, c.Name+".dead."+s.newID(), "too_large", why, d.body, d.header)
	if err != nil {
		return s.lost(ctx, c, errors.Join(why, err))
	}
	s.log.ErrorContext(ctx, "a webhook is too large for the broker and is kept as a dead letter; raise its max_payload",
		"cloud", c.Name, "bytes", len(d.body), "error", why)
	return tooLarge.because("the broker takes no message of this size; it is kept as a dead letter").andKept()
}

// lost answers for what could not be stored.
func (s *Server) lost(ctx context.Context, c *cloud, err error) problem {
	if errors.Is(err, events.ErrTooLarge) {
		s.log.ErrorContext(ctx, "a webhook is too large for the broker; raise its max_payload", "cloud", c.Name, "error", err)
		return tooLarge.because("the broker takes no message of this size").andLost()
	}
	s.log.ErrorContext(ctx, "a webhook could not be stored", "cloud", c.Name, "error", err)
	after := retryAfter
	var passing interface{ RetryAfter() time.Duration }
	if errors.As(err, &passing) {
		after = passing.RetryAfter()
	}
	return notStored.after(after)
}

// retryAfter is what a sender is told when nothing can be stored and the store has no better idea: long enough for a broker to elect a leader.
const retryAfter = 5 * time.Second
