package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/suggest"
	"github.com/factro-bridge/factro-bridge/internal/contract"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// flags are the flags of the commands that read the mirror of one cloud.
type flags struct {
	connect.Flags
	asJSON bool
}

func (f *flags) add(cmd *cobra.Command) {
	f.Flags.Add(cmd)
	f.CloudFlag(cmd)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON, also errors")
}

// checkResource says that a text is no resource of the mirror.
func checkResource(name string) error {
	if slices.Contains(contract.Mirrored, name) {
		return nil
	}
	return exit.Usage("%q is no resource of the mirror%s; they are %s", name, suggest.DidYouMean(name, contract.Mirrored), strings.Join(contract.Mirrored, ", "))
}

// open connects and chooses the cloud.
func (f *flags) open(ctx context.Context) (*client.Client, error) {
	broker, err := f.Dial()
	if err != nil {
		return nil, err
	}
	broker.CollectRefusals()
	if err := f.ChooseCloud(ctx, broker); err != nil {
		broker.Close()
		return nil, err
	}
	return broker, nil
}

// prefix is how the names of the bridge begin.
func (f *flags) prefix() events.Prefix { return events.Prefix(f.Prefix) }

// explain says why nothing can be read: no bridge serves the cloud, or none has the role mirror, or a permission is missing.
func (f *flags) explain(ctx context.Context, broker *client.Client, err error) error {
	if err == nil {
		return nil
	}
	if !natserr.NoStream(err) && !natserr.NobodyAnswers(err) {
		return broker.Why(err, "$JS.API.", broker.Settings().API(""))
	}
	if unserved := f.RequireStreams(ctx, broker); unserved != nil {
		return unserved
	}
	return fmt.Errorf("the cloud %s has no mirror: give a bridge of it the role mirror: %w", f.Cloud, err)
}

// option is where the commands read.
func (f *flags) option() change.Option { return change.WithPrefix(f.prefix()) }
