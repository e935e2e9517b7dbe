package queries

import (
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
)

func TestMain(m *testing.M) { bustest.Main(m) }
