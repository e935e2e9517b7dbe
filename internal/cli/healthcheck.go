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
	// healthTimeout is shorter than what Docker and Kubernetes wait by default, so that the reason is printed and not cut off.
	healthTimeout = 4 * time.Second
	// maxHealth bounds what is printed of an answer.
	maxHealth = 64 << 10
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
		Long: `Ask the admin server of a bridge whether it is ready, print the answer and exit with 0, or with 1 if it is not. It is made
for images without a shell, as the health check of the container.

The address is admin.listen of the configuration, on this machine. --url names another one; with a path it is asked as
it stands, without one for /readyz.`,
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
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration `file`; without one the environment says it all")
	cmd.Flags().StringVar(&f.url, "url", "", "`URL` of the admin server, instead of the configuration's")
	cmd.Flags().BoolVar(&f.live, "live", false, "ask only whether the process is alive (/livez): NATS may be away")
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
			return "", fmt.Errorf("--url: %q is no http or https address", secret.Address(f.url))
		}
		switch {
		case u.Path == "" || u.Path == "/":
			u.Path = path
		case f.live:
			return "", errors.New("--url has a path already: leave out the path or --live")
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

// askHealth prints the answer. It never goes through a proxy: the one who is asked is near.
func askHealth(cmd *cobra.Command, address string) error {
	req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{
		Timeout: healthTimeout, Transport: &http.Transport{DisableKeepAlives: true},
		// Where another one is ready, this one need not be.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(cmd.OutOrStdout(), io.LimitReader(resp.Body, maxHealth)); err != nil {
		return fmt.Errorf("%s: %w", secret.Address(req.URL.String()), err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", secret.Address(req.URL.String()), resp.Status)
	}
	return nil
}
