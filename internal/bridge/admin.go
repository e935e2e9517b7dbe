package bridge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/connlimit"
	"github.com/factro-bridge/factro-bridge/internal/ingress"
	"github.com/factro-bridge/factro-bridge/internal/webpage"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// readiness is the answer of /readyz. Ready is about this process. A cloud whose key has expired, or whose factro cannot be
// reached, is reported, but is no reason to send its webhooks elsewhere. Nor is what the broker refuses of commands: a process
// that takes webhooks reports it as a part, and stays ready.
type readiness struct {
	Ready  bool              `json:"ready"`
	Parts  map[string]string `json:"parts"`
	Clouds map[string]string `json:"clouds,omitempty"`
}

// admin answers the operators. Liveness never depends on another NATS server: a new process does not bring a broker back. It
// does depend on the one inside this process, if that stores nothing and could not be recovered.
func (b *Bridge) admin(alive func() error, ready func() readiness) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", adminIndex(b.version))
	mux.Handle("GET /metrics", b.metrics)
	mux.Handle("/contract/", contractDocuments(events.Prefix(b.cfg.NATS.Prefix)))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		if err := alive(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := ready()
		w.Header().Set("Content-Type", "application/json")
		if !r.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(r) // the asker may be gone
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		webpage.Guard(w.Header())
		mux.ServeHTTP(w, r)
	})
}

// ready looks at all parts.
func (b *Bridge) ready(stopping context.Context, broker *health.Health, store *spool.Spool, webhooks *ingress.Server, steer *steering, units map[string]*unit) readiness {
	text, spools := store.State() //nolint:contextcheck // it has a time of its own
	r := b.readiness(broker.Report(), spools)
	if text != "" {
		r.Parts["spool"] = text
	}
	if _, why := b.cfg.Unfit(store.Limits()); b.cfg.Has(config.RoleIngress) && why != "" {
		r.Parts["max_body"] = why // it decides nothing: smaller webhooks are welcome
	}
	if stopping.Err() != nil {
		r.Ready, r.Parts["bridge"] = false, "stopping"
	}
	for name, to := range units {
		r.Clouds[name] = "ok"
		if err := to.Trouble(); err != nil {
			r.Clouds[name] = err.Error()
		}
	}
	if b.cfg.Has(config.RoleIngress) {
		r.locked(webhooks.Unusable(), len(b.cfg.Clouds))
	}
	for _, cloud := range b.cfg.Clouds { // what is wrong with one cloud takes nothing from the others
		h := broker.OfCloud(cloud.Name)
		r.partly("commands", cloud.Name, h.Commands)
		r.partly("nats", cloud.Name, cmp.Or(h.Broker, h.Webhooks))
	}
	steer.readiness(&r)
	return r
}

// locked notes the clouds whose webhooks cannot be admitted, of so many.
func (r *readiness) locked(clouds map[string]error, of int) {
	if len(clouds) == 0 {
		return
	}
	r.Parts["webhooks"] = notForAll
	for name, err := range clouds {
		r.add(name, "no webhook secret: "+err.Error())
	}
	if len(clouds) == of {
		r.Ready, r.Parts["webhooks"] = false, "no webhook secret can be read"
	}
}

const notForAll = "not for all clouds"

// partly notes what keeps a part that works for other clouds from the work of one.
func (r *readiness) partly(part, cloud string, err error) {
	if was := r.Parts[part]; err != nil && (was == "ok" || was == notForAll) {
		r.Parts[part] = notForAll
		r.add(cloud, err.Error())
	}
}

// add notes one more thing that is wrong with a cloud.
func (r *readiness) add(cloud, text string) {
	if was := r.Clouds[cloud]; was != "" && was != "ok" && was != text {
		text = was + "; " + text
	}
	r.Clouds[cloud] = text
}

// readiness says what the health of the broker means for this process. spools says whether webhooks can wait.
func (b *Bridge) readiness(h health.Report, spools bool) readiness {
	r := readiness{Ready: true, Parts: map[string]string{"nats": "ok"}, Clouds: map[string]string{}}
	switch err := cmp.Or(h.Broker, h.Webhooks); {
	case err != nil && spools: // webhooks are welcome, and commands wait where they are
		r.Parts["nats"] = err.Error() + "; webhooks are spooled"
	case err != nil:
		r.Ready, r.Parts["nats"] = false, err.Error()
	}
	if b.cfg.Has(config.RoleEgress) {
		r.Parts["commands"] = "ok"
	}
	switch {
	case h.Commands != nil:
		r.Parts["commands"] = h.Commands.Error()
		r.Ready = r.Ready && b.cfg.Has(config.RoleIngress)
	case h.Broker != nil && b.cfg.Has(config.RoleEgress):
		r.Parts["commands"] = "waiting for NATS" // the part nats says why
	}
	return r
}

// serveAdmin serves until ctx ends.
func (b *Bridge) serveAdmin(ctx context.Context, conns *connlimit.Limiter, l net.Listener, alive func() error, ready func() readiness) error {
	srv := &http.Server{
		Handler:           b.admin(alive, ready),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 4 << 10,
	}
	conns.Apply(srv) // over the limit the connection idle longest makes room, so that a probe always comes in
	l = conns.Listen(l)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("admin server: %w", err)
	case <-ctx.Done():
	}
	err := srv.Close() // only probes and scrapes are cut off
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
