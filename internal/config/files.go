package config

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/ingress"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// CheckFiles reads the files that the configuration names, and says what cannot be used of them. A file that is not there, or
// that may not be read, is missing: the check may run elsewhere than the bridge.
func (c Config) CheckFiles() (missing []string, wrong error) {
	var errs []error
	add := func(err error) {
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			missing = append(missing, err.Error()+ofService(err))
		default:
			errs = append(errs, err)
		}
	}
	for setting, err := range c.secrets() {
		if err != nil {
			add(fmt.Errorf("%s: %w", setting, err))
		}
	}
	add(c.BusConfig(nil).CheckFiles())
	if c.Has(RoleIngress) {
		_, err := c.HTTP.TLS.Config(nil)
		add(err)
	}
	return missing, errors.Join(errs...)
}

// ofService explains a credential of a systemd unit, which is there only while the service runs.
func ofService(err error) string {
	if strings.Contains(err.Error(), "/run/credentials/") {
		return "; systemd puts it there when it starts the service, for the service and root only"
	}
	return ""
}

// CheckSecrets reads the files of secrets, and says which of them hold something that can be none. One that is missing or
// empty may be filled later.
func (c Config) CheckSecrets() error {
	var errs []error
	for setting, err := range c.secrets() {
		if errors.Is(err, secret.ErrForm) || errors.Is(err, lastgood.ErrUTF16) {
			errs = append(errs, fmt.Errorf("%s: %w", setting, err))
		}
	}
	return errors.Join(errs...)
}

// secrets yields the settings that name a file with a secret, each with why it cannot be used now, or nil.
func (c Config) secrets() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i, cloud := range c.Clouds {
			if s := cloud.API.Key; c.Calls() && s.File != "" {
				_, err := secret.NewReader(s, nil, "").Get()
				if !yield(fmt.Sprintf("clouds[%d].api.key", i), err) {
					return
				}
			}
			for n, s := range cloud.Webhook.Secrets {
				if !c.Has(RoleIngress) || s.File == "" {
					continue
				}
				_, err := secret.NewReader(s, nil, "", ingress.CheckSecret).Get()
				if !yield(fmt.Sprintf("clouds[%d].webhook.secrets[%d]", i, n), err) {
					return
				}
			}
		}
	}
}
