package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/factro-bridge/factro-bridge/internal/bus/spool/limits"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/reconcile"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
)

// Validate reports every mistake at once, each with the path of its setting.
func (c Config) Validate() error {
	_, err := c.KnownActions()
	errs := []error{c.BusConfig(nil).Validate(), c.NATS.validateReplies(), c.validateServers(), c.validateRoles(), err}
	if len(c.Clouds) == 0 {
		errs = append(errs, errors.New("clouds: none is configured"))
	}
	seen := map[string]bool{}
	for i, cloud := range c.Clouds {
		if !cloudName.MatchString(cloud.Name) {
			errs = append(errs, fmt.Errorf("clouds[%d].name: %q is no name such as acme: want lower-case letters, digits and hyphens, at most 63 and no hyphen first", i, cloud.Name))
		}
		if seen[cloud.Name] {
			errs = append(errs, fmt.Errorf("clouds[%d].name: %q is there twice", i, cloud.Name))
		}
		seen[cloud.Name] = true
		if c.Calls() {
			errs = append(errs, prefixed(fmt.Sprintf("clouds[%d].", i), c.APIConfig(cloud, "").Validate()))
		}
		errs = append(errs, prefixed(fmt.Sprintf("clouds[%d].", i), cloud.Policy.validate()))
		if n := cloud.API.Concurrency; c.Has(RoleEgress) && (n < 0 || n > mostConcurrency) {
			errs = append(errs, fmt.Errorf("clouds[%d].api.concurrency: %d is not between 1 and %d; without it, it is %d, and up to %d while factro answers slowly",
				i, n, mostConcurrency, usualConcurrency, raisedConcurrency))
		}
		if n := cloud.Batch.Max; c.Has(RoleEgress) && n != 0 && (n < 2 || n > mostBatched) {
			errs = append(errs, fmt.Errorf("clouds[%d].batch.max: %d is not between 2 and %d, or 0 for a call for each command", i, n, mostBatched))
		}
		if d := cloud.OnDead; d != "" && d != OnDeadContinue && d != OnDeadHold {
			errs = append(errs, fmt.Errorf("clouds[%d].on_dead: %.40q is neither %s nor %s", i, d, OnDeadContinue, OnDeadHold))
		}
		if c.Has(RoleReconcile) {
			errs = append(errs, prefixed(fmt.Sprintf("clouds[%d].", i), reconcile.ValidateCallback(cloud.Webhook.URL)))
		}
	}
	if c.Has(RoleIngress) {
		errs = append(errs, c.IngressConfig().Validate(), c.SpoolConfig().Validate(), c.validateDirs())
	}
	if c.Has(RoleReconcile) {
		errs = append(errs, c.Reconcile.timing().Validate())
	}
	if c.Has(RoleMirror) {
		errs = append(errs, c.Mirror.validate())
	}
	return errors.Join(errs...)
}

// Warnings tells what is allowed and should be otherwise, each with the path of its setting.
func (c Config) Warnings() []string {
	var all []string
	for _, name := range c.unknown {
		all = append(all, name+": is no setting, so this variable of the environment does nothing; is it misspelt, or is an item of a list left out before it?")
	}
	if !c.Has(RoleIngress) {
		return all
	}
	return slices.Concat(all, c.IngressConfig().Warnings(), c.sizeWarnings())
}

// sizeWarnings tells whether the largest webhook fits into a message, as far as that is known without NATS.
func (c Config) sizeWarnings() []string {
	known, err := limits.Read(c.Spool.Dir)
	source := "as it was seen last"
	switch {
	case c.NATS.Embedded.DataDir != "":
		known.Payload, source = topology.EmbeddedPayload, "of nats.embedded"
	case err != nil || known.Payload == 0:
		known.Payload, source = topology.DefaultPayload, "of a NATS server whose operator says nothing else"
	}
	if cloud, text := c.Unfit(known); text != "" {
		return []string{fmt.Sprintf("%s (for %s, %s)", text, cloud, source)}
	}
	return nil
}

// Unfit says for which cloud the largest webhook does not fit into a message, and why; "" if it fits for all.
func (c Config) Unfit(known topology.Limits) (cloud, text string) {
	for _, cloud := range c.Clouds {
		most := known.Of(cloud.Name)
		if need := int64(c.HTTP.MaxBody) + topology.HeaderRoom; most > 0 && need > most {
			return cloud.Name, fmt.Sprintf("http.max_body: %d bytes and %d for headers do not fit into a message of NATS, which holds %d; "+
				"lower it to %d, or raise max_payload of the server and max_msg_size of the stream; a larger webhook is answered with 413 and kept as a dead letter",
				c.HTTP.MaxBody, topology.HeaderRoom, most, max(0, most-topology.HeaderRoom))
		}
	}
	return "", ""
}

func (c Config) validateServers() error {
	var errs []error
	if c.Has(RoleIngress) {
		errs = append(errs, listens("http.listen", c.HTTP.Listen, ":8080"))
	}
	errs = append(errs, listens("admin.listen", c.Admin.Listen, "127.0.0.1:9090"))
	if c.NATS.Embedded.Listen != "" {
		errs = append(errs, listens("nats.embedded.listen", c.NATS.Embedded.Listen, "127.0.0.1:4222"))
	}
	if c.Log.Format != "" && c.Log.Format != telemetry.Text && c.Log.Format != telemetry.JSON {
		errs = append(errs, fmt.Errorf("log.format: %q is neither text nor json; leave it empty for text on a terminal and json elsewhere", c.Log.Format))
	}
	if c.ShutdownTimeout > 0 && c.ShutdownTimeout < time.Second { // the bus reports one that is not positive
		errs = append(errs, fmt.Errorf("shutdown_timeout: %s is shorter than 1s", c.ShutdownTimeout))
	}
	return errors.Join(append(errs, c.HTTP.TLS.validate())...)
}

// validateReplies keeps the bridge from publishing copies of results where senders must not make it publish.
func (n NATS) validateReplies() error {
	var errs []error
	for i, prefix := range n.ReplyPrefixes {
		first, _, _ := strings.Cut(prefix, ".")
		why := ""
		switch {
		case strings.HasPrefix(prefix, "$"):
			why = "belongs to the NATS server"
		case first == n.Prefix:
			why = "belongs to the bridge: its own subjects begin so"
		case strings.ContainsAny(prefix, "*>"):
			why = "has a wildcard; everything below a prefix is meant"
		case slices.Contains(strings.Split(prefix, "."), ""), strings.ContainsFunc(prefix, notInSubject):
			why = "is no beginning of a subject, such as replies.acme, without a dot at the end"
		}
		if why != "" {
			errs = append(errs, fmt.Errorf("nats.reply_prefixes[%d]: %q %s", i, prefix, why))
		}
	}
	return errors.Join(errs...)
}

func notInSubject(r rune) bool { return r <= ' ' || r == 0x7f || r == utf8.RuneError }

// listens says why a server cannot listen at an address. Port 0 is one of the system's choice.
func listens(setting, address, example string) error {
	if address == "" {
		return fmt.Errorf("%s: is empty; give an address such as %s", setting, example)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s: %q is no address such as %s", setting, address, example)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%s: %q: the port is none from 1 to 65535, or 0 for one of the system's choice", setting, address)
	}
	return nil
}

// Loose names the files with secrets that everybody on the machine may read.
func (c Config) Loose() []string {
	files := map[string]string{
		"nats.creds_file": c.NATS.CredsFile, "nats.nkey_file": c.NATS.NkeyFile, "nats.password_file": c.NATS.PasswordFile, "nats.tls.key_file": c.NATS.TLS.KeyFile,
		"http.tls.key_file": c.HTTP.TLS.KeyFile,
	}
	inside := strings.Contains(c.NATS.URL, "@")
	for i, cloud := range c.Clouds {
		files[fmt.Sprintf("clouds[%d].api.key", i)] = cloud.API.Key.File
		inside = inside || cloud.API.Key.Value != ""
		for n, s := range cloud.Webhook.Secrets {
			files[fmt.Sprintf("clouds[%d].webhook.secrets[%d]", i, n)] = s.File
			inside = inside || s.Value != ""
		}
	}
	if inside { // perhaps they came from the environment
		files["the configuration, with its secrets,"] = c.path
	}
	var all []string
	for _, setting := range slices.Sorted(maps.Keys(files)) {
		if why := secret.Loose(files[setting]); why != "" {
			all = append(all, setting+": "+why)
		}
	}
	return all
}

// validateDirs keeps the two servers of this process apart: each would take the other's streams for its own.
func (c Config) validateDirs() error {
	if c.Spool.Dir == "" || c.NATS.Embedded.DataDir == "" {
		return nil
	}
	dir, err := filepath.Abs(c.Spool.Dir)
	if err != nil {
		return fmt.Errorf("spool.dir: %w", err)
	}
	data, err := filepath.Abs(c.NATS.Embedded.DataDir)
	if err != nil {
		return fmt.Errorf("nats.embedded.data_dir: %w", err)
	}
	if dir == data {
		return fmt.Errorf("spool.dir: %s is nats.embedded.data_dir too; give each a directory of its own", c.Spool.Dir)
	}
	return nil
}

func (c Config) validateRoles() error {
	if len(c.Roles) == 0 {
		return fmt.Errorf("roles: none is given; want some of %s", strings.Join(allRoles, ", "))
	}
	for _, r := range c.Roles {
		if !slices.Contains(allRoles, r) {
			return fmt.Errorf("roles: %q is none; want some of %s", r, strings.Join(allRoles, ", "))
		}
	}
	return nil
}
