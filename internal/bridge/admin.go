package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/connlimit"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// readiness is the answer of /readyz. Ready is about this process: a cloud whose key has expired is paused, which is
// told, but it is no reason to send its webhooks elsewhere.
type readiness struct {
	Ready  bool              `json:"ready"`
	Parts  map[string]string `json:"parts"`
	Clouds map[string]string `json:"clouds,omitempty"`
}

// admin answers the operators. Liveness never depends on another NATS server: a new process does not bring a broker back. It
// does depend on the one inside this process, if that stores nothing and could not be mended.
func (b *Bridge) admin(stopping context.Context, broker *bus.Bus, spool *bus.Spool, ways map[string]way) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", b.metrics)
	mux.Handle("/contract/", contractDocuments(events.Prefix(b.cfg.NATS.Prefix)))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		if err := broker.Alive(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := ready(stopping, broker, spool, ways)
		w.Header().Set("Content-Type", "application/json")
		if !r.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(r) // the asker may be gone
	})
	return mux
}

// ready looks at all parts.
func ready(stopping context.Context, broker *bus.Bus, spool *bus.Spool, ways map[string]way) readiness {
	r := readiness{Ready: true, Parts: map[string]string{"nats": "ok"}, Clouds: map[string]string{}}
	text, spools := spool.State() //nolint:contextcheck // it has a time of its own
	if text != "" {
		r.Parts["spool"] = text
	}
	switch err := broker.Ready(); {
	case err != nil && spools: // webhooks are welcome, and commands wait where they are
		r.Parts["nats"] = err.Error() + "; webhooks are spooled"
	case err != nil:
		r.Ready, r.Parts["nats"] = false, err.Error()
	}
	if stopping.Err() != nil {
		r.Ready, r.Parts["bridge"] = false, "stopping"
	}
	for name, to := range ways {
		r.Clouds[name] = "ok"
		if to.Paused() {
			r.Clouds[name] = "paused: factro does not accept the API key"
		}
	}
	return r
}

// serveAdmin serves until ctx ends. stopping ends earlier, when the bridge is told to stop.
func (b *Bridge) serveAdmin(ctx, stopping context.Context, conns *connlimit.Limiter, l net.Listener, broker *bus.Bus, spool *bus.Spool, ways map[string]way) error {
	srv := &http.Server{
		Handler:           b.admin(stopping, broker, spool, ways),
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
