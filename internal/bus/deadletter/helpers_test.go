package deadletter

import (
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
)

func TestMain(m *testing.M) { bustest.Main(m) }

// store returns a store of dead letters.
func store(t testing.TB, b *bus.Conn) *Store {
	t.Helper()
	s, err := New(t.Context(), b, bustest.Publisher(t, b), objects.NewOriginals(b, bustest.Ensurer(b), bustest.Quiet()), bustest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	return s
}
