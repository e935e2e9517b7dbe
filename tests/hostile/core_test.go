package hostile

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// core is the Core API of a cloud: a simulator, and what the row puts before it.
type core struct {
	*sim.Sim
	url  string
	demo sim.Seeded
}

func startCore(w *world, cloud string) *core {
	w.t.Helper()
	s, err := sim.New(sim.Config{Key: keyOf(cloud), Quota: 10_000_000, Examples: true}, slog.New(slog.DiscardHandler))
	must(w.t, err)
	handler := s.Handler()
	if before := w.set.core[cloud]; before != nil {
		handler = before(handler)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends with the row
	}()
	w.t.Cleanup(func() {
		_ = server.Close()
		<-done
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Close(ctx) // it registered no webhooks
	})
	return &core{s, "http://" + l.Addr().String() + "/api/core", s.Demo()}
}

// tasks counts the tasks of a title.
func (c *core) tasks(title string) int {
	return c.Count("task", func(o map[string]any) bool { return o["title"] == title })
}
