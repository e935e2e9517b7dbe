package bridge

import (
	"errors"

	"github.com/factro-bridge/factro-bridge/internal/bus"
)

// Dial connects to the NATS server of a configuration, with its credentials, for a command that works beside the bridge.
func Dial(cfg Config, name string) (*bus.Client, error) {
	cfg, err := cfg.fromOutside()
	if err != nil {
		return nil, err
	}
	b := cfg.bus(nil)
	b.Name = name
	return bus.Dial(b)
}

// fromOutside is the configuration for another process than the one that has the embedded server, if there is one.
func (c Config) fromOutside() (Config, error) {
	if c.NATS.Embedded.DataDir == "" {
		return c, nil
	}
	if c.NATS.Embedded.Listen == "" {
		return c, errors.New("nats.embedded.listen: is empty, so only the bridge itself reaches its NATS server")
	}
	c.NATS.URL, c.NATS.Embedded.DataDir = "nats://"+c.NATS.Embedded.Listen, ""
	return c, nil
}
