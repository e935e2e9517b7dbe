package config

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/slots"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/egress"
	"github.com/factro-bridge/factro-bridge/internal/embedded"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/ingress"
	"github.com/factro-bridge/factro-bridge/internal/reconcile"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// BusConfig is how the process connects to NATS: to s, or to nats.url if s is nil.
func (c Config) BusConfig(s *embedded.Server) bus.Config {
	b := bus.Config{
		URL: c.NATS.URL, Name: "factro-bridge", CredsFile: c.NATS.CredsFile, NkeyFile: c.NATS.NkeyFile, TLS: c.NATS.TLS,
		User: secret.Source{File: c.NATS.UserFile}, Password: secret.Source{File: c.NATS.PasswordFile},
		DialTimeout: c.NATS.DialTimeout, IgnoreDiscovered: c.NATS.IgnoreDiscoveredServers,
		InboxPrefix: c.NATS.InboxPrefix, APIPrefix: c.NATS.APIPrefix, Domain: c.NATS.Domain,
		Prefix: events.Prefix(c.NATS.Prefix), Replicas: c.NATS.Replicas, Manage: c.NATS.Manage,
		ReplyPrefixes: c.NATS.ReplyPrefixes, Shapes: c.NATS.Streams.shapes(), DuplicateWindow: c.NATS.DuplicateWindow,
		Takes: c.Has(RoleIngress), Carries: c.Has(RoleEgress), Mirrors: c.Has(RoleMirror), Server: s, DrainTimeout: c.ShutdownTimeout,
	}
	m := c.NATS.MaxBytes
	b.MaxBytes = topology.Sizes{
		Events: int64(m.Events), Commands: int64(m.Commands), Results: int64(m.Results), Dead: int64(m.Dead),
		Ledger: int64(m.Ledger), Files: int64(m.Files), Answers: int64(m.Answers), Originals: int64(m.Originals),
		Delayed: int64(m.Delayed), Keys: int64(m.Keys), State: int64(m.State), Changes: int64(m.Changes),
	}
	for _, cloud := range c.Clouds {
		b.Clouds = append(b.Clouds, cloud.Name)
	}
	if c.NATS.Embedded.DataDir != "" {
		b.URL = "nats://embedded"
	}
	return b
}

// SpoolConfig is that of a process that takes webhooks; others have none.
func (c Config) SpoolConfig() spool.Config {
	out := spool.Config{Prefix: events.Prefix(c.NATS.Prefix)}
	if c.Has(RoleIngress) {
		out.Dir, out.MaxBytes, out.DrainPerSecond = c.Spool.Dir, int64(c.Spool.MaxBytes), c.Spool.DrainPerSecond
	}
	return out
}

// KnownActions is the operator's list of factro's actions.
func (c Config) KnownActions() ([]string, error) {
	if c.KnownActionsFile == "" || c.offline {
		return nil, nil
	}
	text, err := os.ReadFile(c.KnownActionsFile)
	if err != nil {
		return nil, fmt.Errorf("known_actions_file: %w", err)
	}
	names, err := factro.ReadActions(string(text))
	if err != nil {
		return nil, fmt.Errorf("known_actions_file: %s: %w", c.KnownActionsFile, err)
	}
	return names, nil
}

// IngressConfig is what the server for webhooks needs.
func (c Config) IngressConfig() ingress.Config {
	out := ingress.Config{
		MaxBody: int64(c.HTTP.MaxBody), MaxInFlight: c.HTTP.MaxInFlight,
		MaxMemory: c.WebhookMemory(0), StoreTimeout: c.HTTP.StoreTimeout, IdleTimeout: c.HTTP.IdleTimeout,
		MaxHeader: int(c.HTTP.MaxHeader), PathPrefix: c.HTTP.PathPrefix,
		MaxConnections: c.HTTP.MaxConnections, MaxConnectionsPerAddress: c.HTTP.MaxConnectionsPerAddress,
	}
	for _, cloud := range c.Clouds {
		out.Clouds = append(out.Clouds, ingress.Cloud{
			Name: cloud.Name, Source: cloud.Source, Header: cloud.Webhook.Header, Secrets: cloud.Webhook.Secrets,
		})
	}
	return out
}

// Parts of the process's memory that webhooks get if nobody says how much: an eighth, since what is stored is in memory more
// than once, as a body, as an event and on its way. Without a limit it is what the chart's limit would give.
const memoryPart, usualMemory = 8, 256 << 20

// WebhookMemory is how much memory webhooks may take, of a process that may use so much; 0 if nobody limits it.
func (c Config) WebhookMemory(limit int64) int64 {
	if c.HTTP.MaxMemory > 0 {
		return int64(c.HTTP.MaxMemory)
	}
	if limit == 0 {
		limit = usualMemory
	}
	return max(limit/memoryPart, ingress.LeastMemory(int64(c.HTTP.MaxBody)))
}

// APIConfig is how the process calls a cloud's Core API.
func (c Config) APIConfig(cloud Cloud, version string) coreapi.Config {
	return coreapi.Config{
		Cloud: cloud.Name, URL: cloud.API.URL, Key: cloud.API.Key, Hidden: cloud.Webhook.Secrets,
		RequestsPerMinute: cloud.API.RequestsPerMinute, Reserve: cloud.API.Reserve, Timeout: cloud.API.Timeout, UserAgent: "factro-bridge/" + version,
	}
}

// EgressConfig is how the process carries out the commands of a cloud.
func (c Config) EgressConfig(cloud Cloud) egress.Config {
	return egress.Config{Prefix: events.Prefix(c.NATS.Prefix), ReplyPrefixes: c.NATS.ReplyPrefixes, Refuses: cloud.Policy.rules().Refuses, Batch: cloud.Batch.Max}
}

// CommandOptions are how the process works on a cloud's commands.
func (c Config) CommandOptions(cloud Cloud) commands.Options {
	limits := slots.Limits{Usual: cloud.API.Concurrency}
	if limits.Usual == 0 {
		limits = slots.Limits{Usual: usualConcurrency, Most: raisedConcurrency}
	}
	return commands.Options{Slots: limits, HoldOnDead: cloud.OnDead == OnDeadHold}
}

// ReconcileConfig is when and how far back a cloud's webhooks are compared with what factro has stored.
func (c Config) ReconcileConfig(cloud Cloud) reconcile.Config {
	return reconcile.Config{
		Cloud: cloud.Name, Source: cloud.Source, Prefix: events.Prefix(c.NATS.Prefix), Timing: c.Reconcile.timing(),
		Actions: c.Reconcile.Actions, Callback: cloud.Webhook.URL,
	}
}

func (r Reconcile) timing() reconcile.Timing {
	return reconcile.Timing{Every: r.Every, Overlap: r.Overlap, Grace: r.Grace}
}

// prefixed puts the path of a group before each of its mistakes.
func prefixed(prefix string, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(prefix + strings.ReplaceAll(err.Error(), "\n", "\n"+prefix))
}
