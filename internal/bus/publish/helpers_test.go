package publish_test

import (
	"log/slog"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

func TestMain(m *testing.M) { bustest.Main(m) }

// running returns a connection whose streams are there, and a publisher on it. Both log to the same place.
func running(t testing.TB, server *natstest.Server, log *slog.Logger, change ...func(*bus.Config)) (*bus.Conn, *publish.Publisher) {
	t.Helper()
	conn := bustest.Run(t, bustest.Connect(t, server, log, change...))
	return conn, publisher(t, conn, log)
}

func publisher(t testing.TB, conn *bus.Conn, log *slog.Logger) *publish.Publisher {
	t.Helper()
	p, err := publish.New(t.Context(), conn, log)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// outside is somebody else's client.
type outside struct {
	t testing.TB
	bustest.Outside
}

func connected(t testing.TB, s *natstest.Server) outside {
	t.Helper()
	return outside{t, bustest.Connected(t, s)}
}

// bodyEvent is an event with an id and a body.
func bodyEvent(t testing.TB, id, body string) event.Event {
	t.Helper()
	e := bustest.TaskEvent(t, id)
	e.DataEncoded = []byte(body)
	return e
}
