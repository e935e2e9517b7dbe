package dial

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// checkAddresses says what is wrong with the addresses of servers. It quotes nothing of what may be a user or a password.
func checkAddresses(all string) error {
	var errs []error
	parts := strings.Split(all, ",")
	for n, address := range parts {
		err := checkAddress(address)
		// The rest of a password with a comma looks like an address with a token.
		if err == nil && n > 0 && strings.Contains(address, "@") && !strings.Contains(address, "://") && !strings.Contains(parts[n-1], "@") {
			err = errAddress
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("nats.url: address %d, %s: %w", n+1, secret.Address(address), err))
		}
	}
	if len(errs) > 0 && strings.Contains(all, "@") && len(parts) > 1 {
		// A part of a password could be taken for a host.
		return fmt.Errorf("nats.url: %s: %w", secret.Address(all), errAddress)
	}
	other := func(address string) bool { return isWebsocket(address) != isWebsocket(parts[0]) }
	if len(errs) == 0 && slices.ContainsFunc(parts, other) {
		return fmt.Errorf("nats.url: %w", errMixed)
	}
	return errors.Join(errs...)
}

// Errors of addresses that can be read and are of no use.
var (
	errMixed  = errors.New("addresses with ws:// or wss:// and others are mixed; all of them are of one kind")
	errScheme = errors.New("an address begins with nats://, tls://, ws:// or wss://")
	errMore   = errors.New("nobody reads what stands behind the port; TLS is asked for with tls:// or nats.tls")
)

func isWebsocket(address string) bool {
	scheme, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(address)), "://")
	return scheme == "ws" || scheme == "wss"
}

// checkAddress says what is wrong with a server's address. It quotes nothing of it.
func checkAddress(address string) error {
	address = strings.TrimSpace(address)
	if !strings.Contains(address, "://") {
		address = "nats://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User == nil && strings.Contains(address, "@") {
		return errAddress
	}
	if err := secret.CheckPort(u.Host); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
		return errScheme
	case u.RawQuery != "" || u.Fragment != "" || !isWebsocket(address) && u.Path != "" && u.Path != "/":
		return errMore
	}
	return nil
}

// Validate reports every mistake.
func (c Config) Validate() error {
	errs := []error{c.ValidateConnection()}
	if !prefixForm.MatchString(string(c.Prefix)) {
		errs = append(errs, fmt.Errorf("nats.prefix: %q is not of the form [a-z0-9][a-z0-9-]*", c.Prefix))
	}
	if c.Replicas < 1 || c.Replicas > 5 {
		errs = append(errs, fmt.Errorf("nats.replicas: %d is not between 1 and 5", c.Replicas))
	}
	errs = append(errs, c.Plan().Validate())
	if c.DrainTimeout <= 0 {
		errs = append(errs, fmt.Errorf("shutdown_timeout: %s is not positive", c.DrainTimeout))
	}
	return errors.Join(errs...)
}

// ValidateConnection reports every mistake in what is needed to connect.
func (c Config) ValidateConnection() error {
	var errs []error
	if c.URL == "" && c.Server == nil {
		errs = append(errs, errors.New("nats.url: is empty; give a server's address such as nats://127.0.0.1:4222, or nats.embedded"))
	}
	if c.URL != "" && c.Server == nil {
		if err := checkAddresses(c.URL); err != nil {
			errs = append(errs, err)
		}
	}
	if user := strings.Contains(c.URL, "@"); user && (c.CredsFile != "" || c.NkeyFile != "") { // the client sends both, or only the user
		errs = append(errs, errors.New("nats: creds_file or nkey_file is set, and nats.url has a user or a token; one kind of credentials is enough"))
	}
	if c.CredsFile != "" && c.NkeyFile != "" {
		errs = append(errs, errors.New("nats: creds_file and nkey_file are both set; one of them is enough"))
	}
	switch {
	case c.User.IsZero() != c.Password.IsZero():
		errs = append(errs, errors.New("nats: user_file and password_file belong together; one of them is empty"))
	case !c.User.IsZero() && (c.CredsFile != "" || c.NkeyFile != ""):
		errs = append(errs, errors.New("nats: user_file is set beside creds_file or nkey_file; one kind of credentials is enough"))
	case !c.User.IsZero() && strings.Contains(c.URL, "@"):
		errs = append(errs, errors.New("nats: user_file is set, and nats.url has a user; one of them is enough"))
	}
	if c.Domain != "" && c.APIPrefix != "" {
		errs = append(errs, errors.New("nats: domain and api_prefix are both set; a domain has the API at $JS.<domain>.API"))
	}
	if c.Domain != "" && strings.ContainsAny(c.Domain, " \t\r\n.*>") {
		errs = append(errs, fmt.Errorf("nats.domain: %q is no name without blanks, dots and wildcards", c.Domain))
	}
	if c.DialTimeout < 0 || c.DialTimeout > time.Minute {
		errs = append(errs, fmt.Errorf("nats.dial_timeout: %s is not between 0 and 1m", c.DialTimeout))
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		errs = append(errs, errors.New("nats.tls: cert_file and key_file belong together; one of them is empty"))
	}
	for setting, value := range map[string]string{"nats.inbox_prefix": c.InboxPrefix, "nats.api_prefix": c.APIPrefix} {
		if value != "" && !subjectForm.MatchString(value) {
			errs = append(errs, fmt.Errorf("%s: %q is not of the form _INBOX.name, without blanks, wildcards and a dot at the end", setting, value))
		}
	}
	return errors.Join(errs...)
}
