package ingress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Store keeps what arrived. It returns nil only when that is durable. An error may have a method RetryAfter that tells
// how long the sender should wait; events.ErrTooLarge says that waiting does not help.
type Store interface {
	// Publish keeps an event. spooled says that it is not in the stream yet.
	Publish(ctx context.Context, subject string, e event.Event, id string) (spooled bool, err error)
	// Quarantine keeps bytes that could not be made into an event, with the reason.
	Quarantine(ctx context.Context, subject, id, code string, reason error, data []byte) error
}

// Server answers the webhooks of all configured clouds.
type Server struct {
	cfg      Config
	store    Store
	log      *slog.Logger
	clouds   map[string]*cloud
	slots    chan struct{}
	throttle throttle
	account  account
	metrics  *metrics
	drift    *drift
	tracer   trace.Tracer
	newID    func() string
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
	s := &Server{
		cfg: cfg, store: store, log: log, clouds: map[string]*cloud{}, slots: make(chan struct{}, cfg.MaxInFlight),
		tracer: otel.Tracer(scope),
		newID:  func() string { return uuid.Must(uuid.NewV7()).String() },
	}
	for _, c := range cfg.Clouds {
		d := &door{header: c.Header, log: log.With("cloud", c.Name)}
		for _, source := range c.Secrets {
			d.readers = append(d.readers, secret.NewReader(source))
		}
		s.clouds[c.Name] = &cloud{c, d}
	}
	var err error
	if s.metrics, err = newMetrics(s); err != nil {
		return nil, err
	}
	s.drift, err = newDrift(cfg.KnownActions, log)
	return s, err
}

// Handler is the HTTP interface.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(route, s.observed)
	mux.HandleFunc("/", nothingHere.write)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.EscapedPath(); path.Clean(p) != p {
			nothingHere.write(w, r) // the mux would redirect, which no sender of webhooks follows
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// Run serves on l until ctx ends, and then finishes what is in flight within grace. tlsConfig may be nil.
func (s *Server) Run(ctx context.Context, l net.Listener, tlsConfig *tls.Config, grace time.Duration) error {
	srv := &http.Server{
		Handler: s.Handler(), TLSConfig: tlsConfig,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		// It runs from the end of the header, so a slow body and a slow store must leave time to say that all is well.
		WriteTimeout: readTimeout + s.cfg.StoreTimeout + answerTimeout,
		ErrorLog:     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // a stranger's broken connection is no news
	}
	for name := range s.clouds {
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

// webhook answers one request, and returns the cloud's name and what the answer was.
func (s *Server) webhook(ctx context.Context, w http.ResponseWriter, r *http.Request) (name string, a answer) {
	name = r.PathValue("cloud")
	c, known := s.clouds[name]
	if !known {
		name = "unknown" // a stranger's invention is no label
	}
	id, refused := "", unknownCloud
	if known {
		id, refused = s.survive(ctx, c, w, r)
	}
	if refused.lost && s.cfg.OnLost != nil {
		s.cfg.OnLost(name)
	}
	switch {
	case refused == harmless:
		w.WriteHeader(http.StatusNoContent)
		return name, answer{status: http.StatusNoContent, code: "probe"}
	case refused != accepted && refused != spooled:
		refused.write(w, r)
		return name, answer{refused.Status, refused.code, refused.kept}
	}
	w.Header().Set("Factro-Event-Id", events.EncodeHeader(id))
	w.WriteHeader(http.StatusAccepted)
	if refused == spooled {
		return name, answer{http.StatusAccepted, "spooled", true}
	}
	return name, answer{http.StatusAccepted, "stored", true}
}

// answer is what a request was answered with: the status, for the metric what became of it, and whether the store has what
// came.
type answer struct {
	status int
	code   string
	kept   bool
}

// survive is receive, and answers for a panic. net/http would hang up without a word and log it as it logs strangers'
// broken connections, which nobody reads.
func (s *Server) survive(ctx context.Context, c *cloud, w http.ResponseWriter, r *http.Request) (id string, refused problem) {
	defer func() {
		if v := recover(); v != nil {
			s.log.ErrorContext(ctx, "a webhook made the bridge panic", "cloud", c.Name,
				"error", fmt.Sprint(v), "stack", string(debug.Stack()))
			id, refused = "", ourMistake
		}
	}()
	return s.receive(ctx, c, w, r)
}

// Answers that are no problem.
var (
	accepted = problem{}
	spooled  = problem{code: "spooled"}
	harmless = problem{code: "probe"}
)

// receive takes one request apart and returns the id of the stored event, or why there is none. The order matters: the
// secret before anything that costs, the slot before the body.
func (s *Server) receive(ctx context.Context, c *cloud, w http.ResponseWriter, r *http.Request) (id string, _ problem) {
	switch {
	case r.Method == http.MethodGet, r.Method == http.MethodHead, r.Method == http.MethodPost && r.ContentLength == 0:
		return "", harmless // factro may look whether somebody is here
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST, GET, HEAD")
		return "", wrongMethod
	case !c.door.admits(r):
		if wait := s.throttle.wrongSecret(addressOf(r), time.Now()); wait > 0 {
			return "", tooManyWrong.after(wait)
		}
		w.Header().Set("WWW-Authenticate", "Webhook")
		return "", wrongSecret
	case r.ContentLength > s.cfg.MaxBody:
		return "", s.sizeProblem()
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return "", overloaded.after(time.Second)
	}
	body, refused := s.read(w, r)
	switch {
	case refused != accepted:
		return "", refused
	case len(body) == 0:
		return "", harmless
	}
	// The body is here, and perhaps factro never sends it again: a sender that hangs up now does not stop it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StoreTimeout)
	defer cancel()
	return s.keep(ctx, c, body)
}

func (s *Server) sizeProblem() problem {
	return tooLarge.because("the body is larger than " + strconv.FormatInt(s.cfg.MaxBody, 10) + " bytes")
}

// firstRead is how much memory an announced length gets at once. Nearly every webhook is smaller and is read into one
// piece; for a larger one memory grows with what has really come.
const firstRead = 64 << 10

// read reads the body within the limit of size. The server's time-outs bound how long it takes.
func (s *Server) read(w http.ResponseWriter, r *http.Request) ([]byte, problem) {
	limited := http.MaxBytesReader(w, r.Body, s.cfg.MaxBody)
	announced := min(max(r.ContentLength, 0), firstRead) // -1 if the body is chunked
	body := bytes.NewBuffer(make([]byte, 0, announced+bytes.MinRead))
	_, err := body.ReadFrom(limited)
	var larger *http.MaxBytesError
	switch {
	case err == nil:
		return body.Bytes(), accepted
	case errors.As(err, &larger):
		return nil, s.sizeProblem()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, slowBody
	}
	return nil, brokenBody
}

// keep makes an event of the body and stores it. A body that cannot be one came from somebody who knows the secret, so
// it is kept as well.
func (s *Server) keep(ctx context.Context, c *cloud, body []byte) (id string, _ problem) {
	e, err := translate.Webhook(body, translate.Receipt{
		Cloud: c.Name, Source: c.Source, At: time.Now(), Origin: "webhook", NewID: s.newID,
	})
	if err != nil {
		err = fmt.Errorf("webhook: %w", err)
		storeErr := s.store.Quarantine(ctx, s.cfg.Prefix.DeadWebhook(c.Name), c.Name+".dead."+s.newID(), "unusable", err, body)
		if storeErr != nil {
			return "", s.lost(ctx, c, storeErr)
		}
		s.log.WarnContext(ctx, "a webhook's body is no event; it is kept as a dead letter", "cloud", c.Name, "bytes", len(body))
		return "", unusable.because(err.Error())
	}
	subject := s.cfg.Prefix.Event(c.Name, e.Resource, e.EntityID, e.Action)
	waits, err := s.store.Publish(ctx, subject, e.Event, c.Name+"."+e.ID())
	if errors.Is(err, events.ErrTooLarge) {
		return "", s.oversized(ctx, c, body, err)
	}
	if err != nil {
		return "", s.lost(ctx, c, err)
	}
	s.drift.look(ctx, c.Name, e)
	if waits {
		return e.ID(), spooled
	}
	return e.ID(), accepted
}

// oversized keeps the body of a webhook whose event no message can hold among the dead letters: from there it can be sent
// on once the broker takes it.
func (s *Server) oversized(ctx context.Context, c *cloud, body []byte, why error) problem {
	err := s.store.Quarantine(ctx, s.cfg.Prefix.DeadWebhook(c.Name), c.Name+".dead."+s.newID(), "too_large", why, body)
	if err != nil {
		return s.lost(ctx, c, errors.Join(why, err))
	}
	s.log.ErrorContext(ctx, "a webhook is too large for the broker and is kept as a dead letter; raise its max_payload",
		"cloud", c.Name, "bytes", len(body), "error", why)
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
