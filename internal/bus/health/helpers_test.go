package health_test

import (
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

func TestMain(m *testing.M) { bustest.Main(m) }

// running returns a connection whose streams are there, and a publisher on it.
func running(t testing.TB, server *natstest.Server, change ...func(*bus.Config)) (*bus.Conn, *publish.Publisher) {
	t.Helper()
	conn := bustest.Running(t, server, change...)
	return conn, bustest.Publisher(t, conn)
}

// store publishes an event and fails the test if that fails.
func store(t testing.TB, p *publish.Publisher, id string) {
	t.Helper()
	if err := p.Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, id), id); err != nil {
		t.Fatal(err)
	}
}
