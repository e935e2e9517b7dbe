package config

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// Checked is a valid configuration, as a person wants to know it.
type Checked struct {
	Config
	// Cautions are what is allowed and should be otherwise, and the files that are missing here.
	Cautions []string
	offline  bool
	missing  int
}

// Check is Load that also reads the files that the configuration names, unless offline. Its error has all mistakes; the
// cautions are there beside it.
func Check(path string, environ []string, offline bool) (Checked, error) {
	text, err := readConfig(path, environ)
	if err != nil {
		return Checked{}, err
	}
	c := Default()
	c.path, c.offline = path, offline
	c, wrong, err := c.read(text, environ)
	if err != nil {
		return Checked{}, fmt.Errorf("%s:\n%w", origin(path), err)
	}
	checked := Checked{Config: c, offline: offline, Cautions: slices.Concat(c.Warnings(), c.doubts())}
	if !offline {
		missing, err := c.CheckFiles()
		wrong.add(err)
		checked.missing = len(missing)
		checked.Cautions = slices.Concat(checked.Cautions, c.Loose(), missing)
	}
	placed := make([]mistake, len(checked.Cautions))
	for i, text := range checked.Cautions {
		placed[i] = wrong.placed(settingOf(text), text)
	}
	slices.SortStableFunc(placed, func(a, b mistake) int { return cmp.Compare(a.line, b.line) })
	for i, m := range placed {
		checked.Cautions[i] = m.Error()
	}
	if err := wrong.err(); err != nil {
		return checked, fmt.Errorf("%s:\n%w", origin(path), err)
	}
	return checked, nil
}

// factroRequests is how many requests a minute factro allows to a key.
const factroRequests = 500

// doubts are settings that are possible and probably mistakes. A running bridge does not warn of them: what counts there is what
// factro answers.
func (c Config) doubts() []string {
	var all []string
	for i, cloud := range c.Clouds {
		doubt := func(setting, format string, args ...any) {
			all = append(all, fmt.Sprintf("clouds[%d].%s: ", i, setting)+fmt.Sprintf(format, args...))
		}
		if _, err := url.Parse(cloud.Source); err != nil || strings.ContainsAny(cloud.Source, " \t") {
			doubt("source", "%q is no URI reference, which CloudEvents wants; some readers will refuse the events", cloud.Source)
		}
		if !c.Calls() {
			continue
		}
		if u, err := url.Parse(cloud.API.URL); err == nil && strings.Trim(u.Path, "/") == "" {
			doubt("api.url", "it has no path, and factro's Core API is below /api/core: every call would be answered with 404")
		}
		if n := cloud.API.RequestsPerMinute; n > factroRequests {
			doubt("api.requests_per_minute", "%d is more than the %d that factro allows; it refuses what is above", n, factroRequests)
		}
	}
	return all
}

// Meaning says what a bridge with this configuration does, a line for each part.
func (c Checked) Meaning() []string {
	lines := []string{"roles: " + c.rolesText()}
	for _, cloud := range c.Clouds {
		line := "cloud: " + cloud.Name
		if c.Has(RoleIngress) {
			line += fmt.Sprintf(", webhooks at /webhooks/%s with their secret in the header %s", cloud.Name, cloud.Webhook.Header)
		}
		if c.Calls() {
			line += ", Core API at " + secret.Address(cloud.API.URL)
		}
		lines = append(lines, line)
	}
	return append(lines, "NATS:  "+c.natsText(), "spool: "+c.spoolText(), "files: "+c.filesText())
}

var meanings = map[string]string{
	RoleIngress: "takes webhooks at %s", RoleEgress: "carries out commands", RoleQuery: "answers queries", RoleReconcile: "finds missing events",
	RoleMirror: "copies %s",
}

func (c Checked) rolesText() string {
	var all []string
	for _, role := range c.Roles {
		text := meanings[role]
		switch role {
		case RoleIngress:
			text = fmt.Sprintf(text, c.HTTP.Listen)
		case RoleMirror:
			text = fmt.Sprintf(text, strings.Join(c.Mirror.Resources, ", "))
		}
		all = append(all, fmt.Sprintf("%s (%s)", role, text))
	}
	return strings.Join(all, ", ")
}

func (c Checked) natsText() string {
	prefix := ", subjects begin with " + c.NATS.Prefix
	if e := c.NATS.Embedded; e.DataDir != "" {
		text := "a server inside the bridge, which stores in " + e.DataDir
		if e.Listen == "" {
			return text + " and which no other process reaches" + prefix
		}
		return text + " and listens at " + e.Listen + prefix
	}
	text := secret.Address(c.NATS.URL)
	switch {
	case c.NATS.CredsFile != "":
		text += " with the credentials in " + c.NATS.CredsFile
	case c.NATS.NkeyFile != "":
		text += " with the nkey in " + c.NATS.NkeyFile
	case c.NATS.UserFile != "":
		text += " with the user in " + c.NATS.UserFile
	}
	return text + prefix + ". Whether it can be reached is not checked"
}

func (c Checked) spoolText() string {
	switch {
	case !c.Has(RoleIngress):
		return "not needed, since this process takes no webhooks"
	case c.Spool.Dir == "":
		return "none. While NATS cannot be reached, webhooks are answered with 503"
	}
	return fmt.Sprintf("up to %d MiB in %s, while NATS cannot be reached", c.Spool.MaxBytes>>20, c.Spool.Dir)
}

func (c Checked) filesText() string {
	switch {
	case c.offline:
		return "not read (--offline)"
	case c.missing > 0:
		return fmt.Sprintf("%d of those that are named cannot be read here, see the warnings; what needs them waits until they can", c.missing)
	}
	return "all that are named can be read"
}
