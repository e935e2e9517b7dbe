package steer

import (
	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// prefixed is a connection with the prefix that the flags choose, which the connection alone does not know.
type prefixed struct {
	*client.Client
	prefix events.Prefix
}

// Settings are those of the connection, with the prefix.
func (p prefixed) Settings() dial.Config {
	cfg := p.Client.Settings()
	cfg.Prefix = p.prefix
	return cfg
}
