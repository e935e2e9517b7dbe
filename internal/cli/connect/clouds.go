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

// ConfiguredCloud is the cloud in --cloud, or the only one of the configuration.
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

// Clouds are those that are meant: the one in --cloud, else those of the configuration if one is named, else all that have
// streams.
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

// NoStream adds to the error of a stream that is not there that no bridge serves the cloud.
func (f *Flags) NoStream(ctx context.Context, client *client.Client, cloud string, err error) error {
	if natserr.NoStream(err) {
		return f.Unserved(ctx, client, cloud, err)
	}
	return err
}

// Known makes sure that the cloud in --cloud has streams, where nothing else would show that it has none. A user who may not list
// streams is believed.
func (f *Flags) Known(ctx context.Context, client *client.Client) error {
	if f.Cloud == "" {
		return nil
	}
	if clouds, err := client.Clouds(ctx, events.Prefix(f.Prefix)); err == nil && !slices.Contains(clouds, f.Cloud) {
		return f.Unserved(ctx, client, f.Cloud, errNoStreams)
	}
	return nil
}

var errNoStreams = errors.New("it has no streams")

// Unserved says that no bridge serves a cloud, and which ones there are, as far as that can be found out.
func (f *Flags) Unserved(ctx context.Context, client *client.Client, cloud string, err error) error {
	p := events.Prefix(f.Prefix)
	there := "its streams are not there"
	if clouds, err := client.Clouds(ctx, p); err == nil && !slices.Contains(clouds, cloud) {
		there = thereAre(clouds)
	}
	return fmt.Errorf("no bridge serves a cloud %q with the prefix %s here: %s: %w", cloud, p, there, err)
}

// ChooseCloud makes sure that there is a cloud to work for: the one in --cloud, or the only one that there is.
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

// CloudFlag declares --cloud for a command that is for one cloud.
func (f *Flags) CloudFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Cloud, "cloud", "", "`name` of the factro cloud; not needed if there is only one")
	_ = cmd.RegisterFlagCompletionFunc("cloud", f.completeCloud)
}

// OnlyCloudFlag declares --cloud for a command that is for all clouds unless one is named.
func (f *Flags) OnlyCloudFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Cloud, "cloud", "", "only the cloud of this `name`")
	_ = cmd.RegisterFlagCompletionFunc("cloud", f.completeCloud)
}

// oneCloud is the place of the cloud of that name, or of the only one if there is no name. where says where the clouds were
// looked for.
func oneCloud(name string, clouds []string, where string) (int, error) {
	if name == "" && len(clouds) == 1 {
		return 0, nil
	}
	i := slices.Index(clouds, name)
	switch {
	case name == "":
		return -1, exit.Usage("--cloud: which one? There are %s", strings.Join(clouds, ", "))
	case i < 0:
		return -1, exit.Usage("--cloud: %q is not %s; %s", name, where, thereAre(clouds))
	}
	return i, nil
}

// thereAre says which names could have been meant.
func thereAre(names []string) string {
	if len(names) == 1 {
		return "there is only " + names[0]
	}
	return "there are " + strings.Join(names, ", ")
}
