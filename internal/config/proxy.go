package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// checkProxies says which of the environment's proxies is none. Without this, every call would fail, and the HTTP client would
// quote the variable, with the password in it. It quotes nothing of it.
func checkProxies(environ []string) error {
	var errs []error
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if upper := strings.ToUpper(name); value == "" || upper != "HTTP_PROXY" && upper != "HTTPS_PROXY" {
			continue
		}
		if !strings.Contains(value, "://") { // as the HTTP client reads it
			value = "http://" + value
		}
		u, err := url.Parse(value)
		if err == nil {
			err = secret.CheckPort(u.Host)
		}
		if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
			errs = append(errs, fmt.Errorf("%s: it is not of the form http://host:port; in a user or a password all but letters, digits "+
				"and -._~ is percent-encoded: %% as %%25, / as %%2F", name))
		}
	}
	return errors.Join(errs...)
}
