package dead

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// recentDead is how many of a cloud's dead letters a completion reads.
const recentDead = 100

// completeNames completes the names of the newest dead letters, and the ids of commands that start with the typed text.
func completeNames(f *connect.Flags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if strings.HasPrefix(cmd.Use, "show") && len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return recent(cmd.Context(), f, func(l deadletter.Entry, offer func(string)) {
			name := l.Name()
			if f.Cloud != "" && !strings.Contains(toComplete, "/") {
				_, name, _ = strings.Cut(name, "/")
			}
			text := strings.Join([]string{operationText(l), l.Code, l.ID}, " ")
			if !slices.Contains(args, name) && strings.HasPrefix(name, toComplete) {
				offer(name + "\t" + output.OneLine([]byte(text)))
			}
			if toComplete != "" && l.ID != "" && strings.HasPrefix(l.ID, toComplete) && !slices.Contains(args, l.ID) {
				offer(output.OneLine([]byte(l.ID)) + "\t" + output.OneLine([]byte(l.Name()+" "+operationText(l)+" "+l.Code)))
			}
		}), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeIDs completes the ids of commands that are dead letters.
func completeIDs(f *connect.Flags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return recent(cmd.Context(), f, func(l deadletter.Entry, offer func(string)) {
			if l.ID != "" {
				offer(output.OneLine([]byte(l.ID)) + "\t" + output.OneLine([]byte(operationText(l)+" "+l.Code)))
			}
		}), cobra.ShellCompDirectiveNoFileComp
	}
}

// recent calls each for the newest dead letters.
func recent(ctx context.Context, f *connect.Flags, each func(deadletter.Entry, func(string))) []string {
	return connect.CollectOffers(ctx, func(ctx context.Context, offer func(string)) {
		if f.ConfigFile != "" {
			if _, err := f.BridgeConfig(); err != nil {
				return
			}
		}
		p := func() events.Prefix { return events.Prefix(f.Prefix) }
		f.Connected(ctx, func(client *client.Client, clouds []string) {
			for _, cloud := range clouds {
				last, err := deadletter.Last(ctx, client, p(), cloud)
				if err != nil {
					continue
				}
				first := last - min(last, recentDead) + 1
				_ = deadletter.List(ctx, client, p(), deadletter.Filter{Cloud: cloud, First: first}, func(l deadletter.Entry) error {
					each(l, offer)
					return ctx.Err()
				})
			}
		})
	})
}
