package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/courier"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

// Paths below which the simulator answers.
const (
	corePath    = "/api/core"
	controlPath = "/_sim"
)

// Limits of the server and its shutdown.
const (
	readHeaderTimeout = 10 * time.Second
	shutdownTimeout   = 5 * time.Second // for requests in flight, then again for deliveries in flight
	maxLogged         = 1000            // requests in the log
)

// Sim is one simulated factro.
type Sim struct {
	cfg      Config
	log      *slog.Logger
	random   *courier.Random
	router   *router
	limiter  *limiter
	courier  *courier.Courier
	requests *courier.Ring[Request]
	pristine *tenant.Tenant // the demo tenant, never changed
	journal  *journal

	mu       sync.Mutex // guards the fields below; nothing sleeps or delivers while it is held
	tenant   *tenant.Tenant
	key      string
	variants Variants
	delivery Delivery
	faults   []activeFault
}

// New validates the config and builds a simulator with the demo tenant. It opens nothing except the journal, if there is one.
func New(cfg Config, log *slog.Logger) (*Sim, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("simulator config: %w", err)
	}
	cfg = cfg.withDefaults()
	if cfg.Seed == 0 {
		cfg.Seed = uint64(cfg.Now().UnixNano())
		log.Info("simulator seed", "seed", cfg.Seed)
	}
	random := courier.NewRandom(cfg.Seed)
	s := &Sim{
		cfg: cfg, log: log, random: random,
		router:   newRouter(factro.Operations()),
		limiter:  newLimiter(cfg.Quota, cfg.Window, cfg.Seed),
		courier:  courier.New(courier.Config{Now: cfg.Now, MandantID: cfg.MandantID, Owner: tenant.Demo(cfg.MandantID).User}, random, log),
		requests: courier.NewRing[Request](maxLogged),
	}
	var err error
	s.pristine, err = tenant.New(tenant.Config{MandantID: cfg.MandantID, Examples: cfg.Examples, Now: cfg.Now, NewID: random.ID, Payloads: s.courier.Stored})
	if err != nil {
		return nil, fmt.Errorf("demo tenant: %w", err)
	}
	s.reset()
	if cfg.StateDir != "" {
		var lines []line
		if s.journal, lines, err = openJournal(cfg.StateDir); err != nil {
			return nil, err
		}
		random.Skip(len(lines)) // ids from before the restart are not used again
		s.courier.SetJournal(s.journal)
		s.restore(lines)
	}
	return s, nil
}

// Reset resets the simulator to its config: the demo tenant and empty logs.
func (s *Sim) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reset()
	if err := s.journal.clear(); err != nil {
		s.log.Error("journal could not be cleared", "error", err)
	}
}

func (s *Sim) reset() {
	s.tenant = s.pristine.Clone()
	s.key, s.variants, s.delivery = s.cfg.Key, s.cfg.Variants, s.cfg.Delivery
	s.faults = activate(s.cfg.Faults)
	s.limiter.reset(s.variants)
	s.requests.Clear()
	s.courier.Reset(s.cfg.Delivery, s.cfg.Webhooks)
}

// Run serves until ctx ends. Then it lets requests and deliveries in flight finish, both within a time limit.
func (s *Sim) Run(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	s.courier.Resume() //nolint:contextcheck // deliveries have their own context, which lives longer than this one
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	var err error
	select {
	case err = <-served:
		_ = server.Close() // the listener has failed, so close the connections too
	case <-ctx.Done():
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if server.Shutdown(bound) != nil {
			_ = server.Close() // what did not finish in time is cut off
		}
		err = <-served
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if closeErr := s.Close(bound); closeErr != nil {
		s.log.WarnContext(ctx, "webhook deliveries were cut off", "error", closeErr)
	}
	if err != nil {
		return fmt.Errorf("serve simulator: %w", err)
	}
	return nil
}

// Handler is the simulator without a listener. The caller must call Close at the end.
func (s *Sim) Handler() http.Handler {
	control := s.control()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		if rest, isCore := strings.CutPrefix(path, corePath+"/"); isCore {
			s.serveCore(w, r, "/"+rest) //nolint:contextcheck // deliveries live longer than the request
			return
		}
		if path == controlPath || strings.HasPrefix(path, controlPath+"/") {
			control.ServeHTTP(w, r)
			return
		}
		if s.webLink(w, r) {
			return
		}
		if path == "/" { // the simulator has no front page of factro
			http.Redirect(w, r, homePath, http.StatusFound)
			return
		}
		writeHTML(w, http.StatusNotFound, "Error", "Cannot "+r.Method+" "+strings.TrimPrefix(path, "/api"))
	})
}

// Idle waits until no delivery is running or queued.
func (s *Sim) Idle(ctx context.Context) error { return s.courier.Idle(ctx) }

// Close waits for the deliveries in flight. When ctx ends, it cancels the remaining ones and returns an error.
func (s *Sim) Close(ctx context.Context) error {
	return errors.Join(s.courier.Close(ctx), s.journal.close())
}

// Demo returns the ids of the demo tenant.
func (s *Sim) Demo() Seeded { return tenant.Demo(s.cfg.MandantID) }

// Register adds a webhook, as an operator does in factro's web UI.
func (s *Sim) Register(h Webhook) error {
	if err := h.Validate(); err != nil {
		return fmt.Errorf("register webhook: %w", err)
	}
	s.courier.Register(h)
	return nil
}

// SetFaults replaces the active faults and resets their counts.
func (s *Sim) SetFaults(fs Faults) error {
	if err := fs.Validate(); err != nil {
		return fmt.Errorf("set faults: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = activate(fs)
	return nil
}

// SetVariants replaces the current variants.
func (s *Sim) SetVariants(v Variants) error {
	if err := v.Validate(); err != nil {
		return fmt.Errorf("set variants: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.variants = v
	s.limiter.set(v)
	return nil
}

// SetDelivery replaces the delivery settings, starting with the next delivery.
func (s *Sim) SetDelivery(d Delivery) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("set delivery: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delivery = d
	s.courier.SetDelivery(d)
	return nil
}

// SetKey changes the API key. With an empty key every request is refused, as for an expired key.
func (s *Sim) SetKey(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = key
}

// Fire sends an event as if something had changed at factro. The action can have any name.
func (s *Sim) Fire(action, entityID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.courier.Fire([]tenant.Event{{Action: action, EntityID: entityID}})
}

// Count is the number of objects of a kind that match. A nil match accepts all.
func (s *Sim) Count(kind string, match func(map[string]any) bool) int {
	n := 0
	for _, o := range s.Objects(kind) {
		if match == nil || match(o) {
			n++
		}
	}
	return n
}

// Objects lists the objects of a kind in the order of their creation. They belong to the simulator: do not change them.
func (s *Sim) Objects(kind string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []map[string]any{}
	for _, o := range s.tenant.Objects(kind) {
		out = append(out, o)
	}
	return out
}

// Requests is the log of requests to the Core API, the oldest first.
func (s *Sim) Requests() []Request { return s.requests.List() }

// Windows are what the limiter has counted in each window and partition: those that are over, then those that are not.
func (s *Sim) Windows() []Window { return s.limiter.windows() }

// Deliveries is the log of attempts to deliver webhooks, the oldest first.
func (s *Sim) Deliveries() []Attempt { return s.courier.Attempts.List() }
