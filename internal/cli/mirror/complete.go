package mirror

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/contract"
	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// completeResources completes the resources of the mirror.
func completeResources(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return contract.Mirrored, cobra.ShellCompDirectiveNoFileComp
}

// completeObjects completes a resource, and then the ids of its objects, with their titles.
func completeObjects(f *flags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) != 1 || checkResource(args[0]) != nil {
			return completeResources(cmd, args, toComplete)
		}
		return connect.CollectOffers(cmd.Context(), func(ctx context.Context, offer func(string)) {
			f.Connected(ctx, func(broker *client.Client, clouds []string) {
				for _, cloud := range clouds {
					offerObjects(ctx, broker, cloud, args[0], f.option(), func(id, title string) {
						if strings.HasPrefix(id, toComplete) {
							offer(id + "\t" + title)
						}
					})
				}
			})
		}), cobra.ShellCompDirectiveNoFileComp
	}
}

// offerObjects offers the objects of a resource that the mirror has now.
func offerObjects(ctx context.Context, broker *client.Client, cloud, resource string, prefix change.Option, offer func(id, title string)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// An error is the end of the offers.
	_ = change.Watch(ctx, broker.JetStream(), cloud, resource, func(_ context.Context, s change.State) error {
		if !s.Gone {
			offer(s.ID, titleOf(fieldsOf(s.Data)))
		}
		return ctx.Err()
	}, prefix, change.OnCurrent(cancel), change.WithLog(slog.New(slog.DiscardHandler)))
}

// completeConditions completes the known fields of a resource, and then the known values of a field.
func completeConditions(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	const more = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	if len(args) == 0 {
		return nil, more
	}
	known := schemaOf(args[0])
	var out []string
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if !strings.HasPrefix(toComplete, name+"=") {
			doc, _ := known[name]["description"].(string)
			out = append(out, strings.TrimSuffix(name+"=\t"+doc, "\t"))
			continue
		}
		for _, value := range valuesOf(known[name]) {
			out = append(out, name+"="+value)
		}
	}
	return out, more
}

// valuesOf are the known values of a field.
func valuesOf(schema map[string]any) (values []string) {
	schema = schemas.MeantPart(schema)
	if to, ok := schema["$ref"]; ok {
		schema = schemas.Component(schemas.ComponentOf(to))
	}
	listed, _ := schema["enum"].([]any)
	for _, v := range listed {
		if v != nil {
			values = append(values, fmt.Sprint(v))
		}
	}
	if schema["type"] == "boolean" {
		values = append(values, "true", "false")
	}
	return values
}
