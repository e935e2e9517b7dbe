package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

const (
	// healthTimeout is shorter than the default timeouts of Docker and Kubernetes, so that the reason is still printed.
	healthTimeout = 4 * time.Second
	// maxHealthBody limits how much of an answer is printed.
	maxHealthBody = 64 << 10
)

type healthFlags struct {
	config, url string
	live        bool
}

func newHealthcheck() *cobra.Command {
	var f healthFlags
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running bridge on this machine whether it is ready",
		Long: `Ask the admin server of a bridge whether it is ready, print the answer, and exit with 0 if it is ready, otherwise with 1. It
is the health check of a container without a shell.

The address is admin.listen of the configuration, on this machine. --url names another one. Without a path it asks for
/readyz.`,
		Example: `  bridge healthcheck --config /etc/factro-bridge/bridge.yaml
  bridge healthcheck --url http://127.0.0.1:9090 --live`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address, err := f.address(os.Environ())
			if err != nil {
				return err // with 1 and not with 2, which Docker reserves
			}
			return askHealth(cmd, address)
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration `file`; without it, all settings come from the environment")
	cmd.Flags().StringVar(&f.url, "url", "", "`URL` of the admin server, instead of the one in the configuration")
	cmd.Flags().BoolVar(&f.live, "live", false, "ask only whether the process is alive (/livez), even without NATS")
	return cmd
}

// address is the URL to ask.
func (f *healthFlags) address(environ []string) (string, error) {
	path := "/readyz"
	if f.live {
		path = "/livez"
	}
	if f.url != "" {
		u, err := url.Parse(f.url)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return "", fmt.Errorf("--url: %q is not an http or https address", secret.Address(f.url))
		}
		switch {
		case u.Path == "" || u.Path == "/":
			u.Path = path
		case f.live:
			return "", errors.New("--url has a path already: omit the path or --live")
		}
		return u.String(), nil
	}
	cfg, err := config.Load(f.config, environ)
	if err != nil {
		return "", err
	}
	address, err := connect.Local(cfg.Admin.Listen)
	if err != nil {
		return "", fmt.Errorf("admin.listen: %w", err)
	}
	return "http://" + address + path, nil
}

// askHealth prints the answer. It uses no proxy, since the server is usually on the same machine.
func askHealth(cmd *cobra.Command, address string) error {
	req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{
		Timeout: healthTimeout, Transport: &http.Transport{DisableKeepAlives: true},
		// A redirect may lead to another bridge, which says nothing about this one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(cmd.OutOrStdout(), io.LimitReader(resp.Body, maxHealthBody)); err != nil {
		return fmt.Errorf("%s: %w", secret.Address(req.URL.String()), err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", secret.Address(req.URL.String()), resp.Status)
	}
	return nil
}
