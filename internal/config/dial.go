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

// ConnectionBy is Connection by another way: the address and the credentials are those of way, all else, such as the prefix and what the
// streams are to be, is the configuration's.
func (c Config) ConnectionBy(way bus.Config) bus.Config {
	c.NATS.Embedded.DataDir = ""
	out := c.BusConfig(nil)
	out.URL, out.CredsFile, out.NkeyFile, out.User, out.Password = way.URL, way.CredsFile, way.NkeyFile, way.User, way.Password
	out.TLS, out.InboxPrefix, out.APIPrefix, out.Domain = way.TLS, way.InboxPrefix, way.APIPrefix, way.Domain
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
