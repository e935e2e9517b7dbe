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
	"strings"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/connlimit"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/logsample"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// Server answers the webhooks of all configured clouds.
type Server struct {
	cfg      Config
	store    Store
	log      *slog.Logger
	clouds   map[string]*cloud
	prefix   []string // segments of http.path_prefix
	slots    *shares  // how many webhooks may be stored at once
	memory   *shares  // bytes of the webhooks being read and stored
	conns    *connlimit.Limiter
	throttle throttle
	samples  *logsample.Sampler
	account  account
	metrics  *metrics
	drift    *drift
	// unpacking has room for one body: only one is decompressed or converted at a time.
	unpacking chan struct{}
	tracer    trace.Tracer
	newID     func() string
}

type cloud struct {
	Cloud
	authenticator *authenticator
}

// New builds the server.
func New(cfg Config, store Store, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
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
		d := &authenticator{header: c.Header, log: log.With("cloud", c.Name)}
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

// Run serves on l until ctx ends, then finishes the requests in flight within grace. tlsConfig may be nil.
func (s *Server) Run(ctx context.Context, l net.Listener, tlsConfig *tls.Config, grace time.Duration) error {
	srv := &http.Server{
		Handler: s.Handler(), TLSConfig: tlsConfig,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: s.cfg.IdleTimeout, MaxHeaderBytes: 2*s.cfg.MaxHeader - headerSlop,
		// It starts at the end of the header, so it has to include the time for the body and the store.
		WriteTimeout: readTimeout + s.cfg.StoreTimeout + answerTimeout,
		HTTP2:        s.http2(),
		// Otherwise net/http itself answers OPTIONS * with 200, and it is neither logged nor counted.
		DisableGeneralOptionsHandler: true,

		ErrorLog: slog.NewLogLogger(errorLog{s.log.Handler(), s}, slog.LevelDebug),
	}
	s.conns.Apply(srv)
	l = s.conns.Listen(l)
	for name, c := range s.clouds {
		c.authenticator.check(ctx)
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
	<-served //nolint:errcheck // always ErrServerClosed
	if err != nil {
		return fmt.Errorf("webhook server: requests were cut off: %w", errors.Join(err, srv.Close()))
	}
	return nil
}

// webhook processes one request and returns the cloud's name, the id of the event and the answer.
func (s *Server) webhook(ctx context.Context, w http.ResponseWriter, r *http.Request) (name, id string, a answer) {
	name = r.PathValue("cloud")
	c, known := s.clouds[name]
	if !known {
		return "unknown", "", unknownCloud // names from unknown senders do not become labels
	}
	id, a = s.recoverPanic(ctx, c, func() (string, answer) { return s.receive(ctx, c, w, r) })
	if a.lost && s.cfg.OnLost != nil {
		s.cfg.OnLost(name)
	}
	return name, id, a
}

// recoverPanic calls do and turns a panic into an answer. net/http would close the connection without an answer and log the
// panic together with broken connections of strangers, which nobody reads.
func (s *Server) recoverPanic(ctx context.Context, c *cloud, do func() (string, answer)) (id string, a answer) {
	defer func() {
		if v := recover(); v != nil {
			s.log.ErrorContext(ctx, "a webhook made the bridge panic", "cloud", c.Name,
				"error", fmt.Sprint(v), "stack", string(debug.Stack()))
			id, a = "", ourMistake
		}
	}()
	return do()
}

// receive handles one request and returns the id of the stored event, or why there is none. The order matters: the secret
// comes before anything expensive, and the body before the slot, so that a slow sender does not occupy one.
func (s *Server) receive(ctx context.Context, c *cloud, w http.ResponseWriter, r *http.Request) (id string, _ answer) {
	known := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodPost
	switch {
	case len(r.TransferEncoding) > 0 && connlimit.Of(ctx).HasLength():
		return "", ambiguous
	case known && r.ContentLength == 0 && strings.Join(r.Header.Values(c.Header), "") == "":
		return "", probe
	case !known:
		w.Header().Set("Allow", "POST, GET, HEAD")
		return "", wrongMethod
	}
	switch why := c.authenticator.refuses(r); why {
	case "":
	case secretUnusable: // the sender's secret cannot be checked now, so it should retry
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
			s.log.WarnContext(ctx, "a request with the right secret is not a POST: was the webhook's URL redirected? A 301, 302 or 303 turns a webhook into a GET, and its body is lost",
				"cloud", c.Name, "method", method(r.Method), "not_logged", skipped)
		}
		w.Header().Set("Allow", "POST")
		return "", redirected
	case r.ContentLength == 0:
		return "", s.withoutBody(ctx, c)
	case r.ContentLength > s.cfg.MaxBody:
		return "", s.bodyTooLarge()
	}
	return s.take(ctx, c, w, r)
}

// Unusable returns the error of each cloud that can authenticate no request because none of its secrets can be read.
func (s *Server) Unusable() map[string]error {
	out := map[string]error{}
	for name, c := range s.clouds {
		if err := c.authenticator.unusable(); err != nil {
			out[name] = err
		}
	}
	return out
}

// withoutBody answers a webhook without a body.
func (s *Server) withoutBody(ctx context.Context, c *cloud) answer {
	if skipped, due := s.due(c, "empty"); due {
		s.log.WarnContext(ctx, "a webhook with the right secret has no body: does a proxy drop it?", "cloud", c.Name, "not_logged", skipped)
	}
	return empty
}

// take reads a webhook's body and stores it.
func (s *Server) take(ctx context.Context, c *cloud, w http.ResponseWriter, r *http.Request) (id string, _ answer) {
	l := &load{shares: s.memory, cloud: c.Name}
	body, a := s.read(w, r, l)
	switch {
	case a.decided():
	case len(body) == 0:
		a = s.withoutBody(ctx, c)
	case !s.slots.take(c.Name, 1):
		a = overloaded.after(time.Second)
	}
	if a.decided() {
		l.free()
		return "", a
	}
	return s.within(ctx, c, s.newDelivery(c, r, body, l), func() {
		s.slots.give(c.Name, 1)
		l.free()
	})
}
