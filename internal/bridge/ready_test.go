package bridge

import (
	"errors"
	"maps"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/config"
)

// TestAllThatIsWrongWithACloud: the key that is missing is not hidden behind the secret that is missing, too.
func TestAllThatIsWrongWithACloud(t *testing.T) {
	t.Parallel()
	r := readiness{Ready: true, Parts: map[string]string{"commands": "ok", "nats": "ok"}, Clouds: map[string]string{"acme": "paused: no key", "demo": "ok"}}
	r.locked(map[string]error{"acme": errors.New("no file")}, 2)
	r.partly("commands", "demo", errors.New("no stream"))
	r.partly("nats", "demo", errors.New("no stream"))
	want := map[string]string{"acme": "paused: no key; no webhook secret: no file", "demo": "no stream"}
	if !maps.Equal(r.Clouds, want) || r.Parts["commands"] != notForAll || r.Parts["webhooks"] != notForAll {
		t.Errorf("it is %+v, want %v", r, want)
	}
}

// TestReadiness: what the broker refuses of commands never makes a process unready that takes webhooks, and never claims
// that webhooks are spooled.
func TestReadiness(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		roles          []string
		health         health.Report
		spools         bool
		ready          bool
		nats, commands string
	}{
		"all well":                     {roles: []string{config.RoleIngress, config.RoleEgress}, ready: true, nats: "ok", commands: "ok"},
		"webhooks only":                {roles: []string{config.RoleIngress}, ready: true, nats: "ok"},
		"commands fail":                {roles: []string{config.RoleIngress, config.RoleEgress}, health: health.Report{Commands: broken}, ready: true, nats: "ok", commands: "broken"},
		"commands fail, with a spool":  {roles: []string{config.RoleIngress, config.RoleEgress}, health: health.Report{Commands: broken}, spools: true, ready: true, nats: "ok", commands: "broken"},
		"commands fail, without them":  {roles: []string{config.RoleEgress}, health: health.Report{Commands: broken}, nats: "ok", commands: "broken"},
		"queries fail":                 {roles: []string{config.RoleQuery}, health: health.Report{Commands: broken}, nats: "ok", commands: "broken"},
		"webhooks fail":                {roles: []string{config.RoleIngress, config.RoleEgress}, health: health.Report{Webhooks: broken}, nats: "broken", commands: "ok"},
		"webhooks fail, with a spool":  {roles: []string{config.RoleIngress, config.RoleEgress}, health: health.Report{Webhooks: broken}, spools: true, ready: true, nats: "broken; webhooks are spooled", commands: "ok"},
		"the broker is away":           {roles: []string{config.RoleIngress, config.RoleEgress}, health: health.Report{Broker: broken}, nats: "broken", commands: "waiting for NATS"},
		"it is away, and with a spool": {roles: []string{config.RoleIngress}, health: health.Report{Broker: broken}, spools: true, ready: true, nats: "broken; webhooks are spooled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &Bridge{cfg: config.Config{Roles: tt.roles}}
			r := b.readiness(tt.health, tt.spools)
			if r.Ready != tt.ready || r.Parts["nats"] != tt.nats || r.Parts["commands"] != tt.commands {
				t.Errorf("it is %+v, want %+v", r, tt)
			}
		})
	}
}
