package connect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// ConfiguredCloud returns the cloud in --cloud, or the only one in the configuration.
func (f *Flags) ConfiguredCloud() (config.Cloud, error) {
	cfg, err := f.BridgeConfig()
	if err != nil {
		return config.Cloud{}, err
	}
	names := make([]string, len(cfg.Clouds))
	for i, c := range cfg.Clouds {
		names[i] = c.Name
	}
	i, err := oneCloud(f.Cloud, names, "in the configuration")
	if err != nil {
		return config.Cloud{}, err
	}
	f.Cloud = names[i]
	return cfg.Clouds[i], nil
}

// Clouds returns the cloud in --cloud, or else the clouds of the configuration if there is one, or else all clouds that have streams.
func (f *Flags) Clouds(ctx context.Context, client *client.Client) ([]string, error) {
	switch {
	case f.Cloud != "":
		return []string{f.Cloud}, nil
	case f.Config != nil:
		var names []string
		for _, c := range f.Config.Clouds {
			names = append(names, c.Name)
		}
		return names, nil
	}
	return client.Clouds(ctx, events.Prefix(f.Prefix))
}

// ExplainNoStream adds to the error for a missing stream that no bridge serves the cloud.
func (f *Flags) ExplainNoStream(ctx context.Context, client *client.Client, cloud string, err error) error {
	if natserr.NoStream(err) {
		return f.UnservedError(ctx, client, cloud, err)
	}
	return err
}

// RequireStreams checks that the cloud in --cloud has streams, for commands that would not notice it otherwise. If the user has no
// right to list streams, it checks nothing.
func (f *Flags) RequireStreams(ctx context.Context, client *client.Client) error {
	if f.Cloud == "" {
		return nil
	}
	if clouds, err := client.Clouds(ctx, events.Prefix(f.Prefix)); err == nil && !slices.Contains(clouds, f.Cloud) {
		return f.UnservedError(ctx, client, f.Cloud, errNoStreams)
	}
	return nil
}

var errNoStreams = errors.New("it has no streams")

// UnservedError says that no bridge serves a cloud. It lists the existing clouds if the user may list them.
func (f *Flags) UnservedError(ctx context.Context, client *client.Client, cloud string, err error) error {
	p := events.Prefix(f.Prefix)
	there := "its streams do not exist"
	if clouds, err := client.Clouds(ctx, p); err == nil && !slices.Contains(clouds, cloud) {
		there = listOf(clouds)
	}
	return fmt.Errorf("no bridge serves a cloud %q with the prefix %s here: %s: %w", cloud, p, there, err)
}

// ChooseCloud sets the cloud: the one in --cloud, or the only one that exists.
func (f *Flags) ChooseCloud(ctx context.Context, client *client.Client) error {
	if f.Config != nil {
		_, err := f.ConfiguredCloud()
		return err
	}
	names, err := f.Clouds(ctx, client)
	if err != nil {
		return err
	}
	i, err := oneCloud(f.Cloud, names, "there")
	if err != nil {
		return err
	}
	f.Cloud = names[i]
	return nil
}

// CloudFlag declares --cloud for a command that works on one cloud.
func (f *Flags) CloudFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Cloud, "cloud", "", "`name` of the factro cloud; not needed if there is only one")
	_ = cmd.RegisterFlagCompletionFunc("cloud", f.completeCloud)
}

// OnlyCloudFlag declares --cloud for a command that works on all clouds unless one is named.
func (f *Flags) OnlyCloudFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Cloud, "cloud", "", "only the cloud of this `name`")
	_ = cmd.RegisterFlagCompletionFunc("cloud", f.completeCloud)
}

// oneCloud is the index of the cloud with this name, or of the only cloud if the name is empty. where says where the clouds were
// searched.
func oneCloud(name string, clouds []string, where string) (int, error) {
	if name == "" && len(clouds) == 1 {
		return 0, nil
	}
	i := slices.Index(clouds, name)
	switch {
	case name == "":
		return -1, exit.Usage("--cloud: which one? There are %s", strings.Join(clouds, ", "))
	case i < 0:
		return -1, exit.Usage("--cloud: %q is not %s; %s", name, where, listOf(clouds))
	}
	return i, nil
}

// listOf lists the names that exist.
func listOf(names []string) string {
	if len(names) == 1 {
		return "there is only " + names[0]
	}
	return "there are " + strings.Join(names, ", ")
}
