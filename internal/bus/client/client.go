package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
)

// Client is a short-lived connection for the command line: unlike bus.Conn it says at once that the server is not there.
type Client struct {
	cfg dial.Config
	nc  *nats.Conn
	js  jetstream.JetStream

	health  *health.Health
	mu      sync.Mutex
	refused []health.Refusal // what CollectRefusals has heard of
}

// Dial connects as the configuration says.
func Dial(cfg dial.Config) (*Client, error) {
	if err := cfg.ValidateConnection(); err != nil {
		return nil, err
	}
	opts, err := cfg.Options(func() *nats.Conn { return nil })
	if err != nil {
		return nil, err
	}
	nc, err := dial.Any(cfg, opts)
	if err != nil {
		return nil, err
	}
	js, err := cfg.JetStream(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("JetStream: %w", err)
	}
	return &Client{cfg: cfg, nc: nc, js: js, health: health.New(nil, cfg, health.NewState(nil, 0), 0, slog.New(slog.DiscardHandler))}, nil
}

// JetStream gives access to streams and buckets.
func (c *Client) JetStream() jetstream.JetStream { return c.js }

// NATS returns the underlying connection.
func (c *Client) NATS() *nats.Conn { return c.nc }

// Health knows of no trouble: the leaders of streams are asked.
func (c *Client) Health() *health.Health { return c.health }

// Settings returns the configuration of the connection.
func (c *Client) Settings() dial.Config { return c.cfg }

// Close ends the connection.
func (c *Client) Close() { c.nc.Close() }

// CollectRefusals has the client keep in mind which permissions the server refuses, for Why. Else they are printed.
func (c *Client) CollectRefusals() {
	c.nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if errors.Is(err, nats.ErrPermissionViolation) && len(c.refused) < health.MostRefused {
			c.refused = append(c.refused, health.ReadRefusal(err))
		}
	})
}

// Why adds to an error which permission the server has refused, if it was one to publish to subjects that begin like
// these, or one to subscribe, without which no answer comes at all. What met the refusal only times out.
func (c *Client) Why(err error, subjects ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.refused {
		if !r.Publish || slices.ContainsFunc(subjects, func(s string) bool { return strings.HasPrefix(r.Subject, s) }) {
			return fmt.Errorf("%w: %w", err, r.Err)
		}
	}
	return err
}

// Refused is the server's refusal to let this connection publish to a subject, or hear any answer; nil if CollectRefusals has heard of
// none.
func (c *Client) Refused(subject string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.refused {
		if !r.Publish || r.Subject == subject {
			return r.Err
		}
	}
	return nil
}

// Outages calls tell when the connection is lost, or is already, and when it is back, until ctx ends.
func (c *Client) Outages(ctx context.Context, tell func(up bool)) {
	changed := c.nc.StatusChanged(nats.RECONNECTING, nats.CONNECTED)
	defer c.nc.RemoveStatusListener(changed)
	was := true
	for up := c.nc.IsConnected(); ; { // an outage may have begun already
		if up != was {
			was = up
			tell(up)
		}
		select {
		case status := <-changed:
			up = status == nats.CONNECTED
		case <-ctx.Done():
			return
		}
	}
}
