package config

import (
	"errors"

	"github.com/factro-bridge/factro-bridge/internal/bus"
)

// Connection says how a command that works beside the bridge connects to NATS: as the bridge itself does, to its embedded
// server by the address that this listens on.
func (c Config) Connection() (bus.Config, error) {
	c, err := c.fromOutside()
	if err != nil {
		return bus.Config{}, err
	}
	return c.BusConfig(nil), nil
}

// ConnectionBy is Connection with another access: address and credentials come from access, everything else, such as the prefix
// and the settings of streams, from the configuration.
func (c Config) ConnectionBy(access bus.Config) bus.Config {
	c.NATS.Embedded.DataDir = ""
	out := c.BusConfig(nil)
	out.URL, out.CredsFile, out.NkeyFile, out.User, out.Password = access.URL, access.CredsFile, access.NkeyFile, access.User, access.Password
	out.TLS, out.InboxPrefix, out.APIPrefix, out.Domain = access.TLS, access.InboxPrefix, access.APIPrefix, access.Domain
	return out
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
