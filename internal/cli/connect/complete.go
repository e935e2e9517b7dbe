package connect

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
)

// completionTime limits a completion that asks the broker, because the shell waits for it. The completion offers what was found in
// this time, and ignores failures.
const completionTime = 800 * time.Millisecond

// CollectOffers returns the offers of collect after a limited time, even if collect itself hangs, for example while connecting.
func CollectOffers(ctx context.Context, collect func(context.Context, func(string))) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	offers, done := make(chan string), make(chan struct{})
	go func() { // ends with the process, which ends with the completion
		defer close(done)
		collect(ctx, func(offer string) {
			select {
			case offers <- offer:
			case <-ctx.Done():
			}
		})
	}()
	var found []string
	for {
		select {
		case offer := <-offers:
			found = append(found, offer)
		case <-done:
			return found
		case <-ctx.Done():
			return found
		}
	}
}

// completeCloud completes the names of clouds: those of the configuration, or else those that have streams.
func (f *Flags) completeCloud(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return CollectOffers(cmd.Context(), func(ctx context.Context, offer func(string)) {
		f.eachCloud(ctx, func(_ *client.Client, clouds []string) {
			for _, cloud := range clouds {
				offer(cloud)
			}
		})
	}), cobra.ShellCompDirectiveNoFileComp
}

// eachCloud calls do with the existing clouds, and with a connection unless the configuration lists the clouds. It ignores failures.
func (f *Flags) eachCloud(ctx context.Context, do func(*client.Client, []string)) {
	if f.ConfigFile != "" {
		if _, err := f.BridgeConfig(); err != nil {
			return
		}
		if clouds, err := f.Clouds(ctx, nil); err == nil && f.Cloud == "" {
			do(nil, clouds)
			return
		}
	}
	f.Connected(ctx, do)
}

// Connected is eachCloud, but always with a connection.
func (f *Flags) Connected(ctx context.Context, do func(*client.Client, []string)) {
	client, err := f.Dial()
	if err != nil {
		return
	}
	defer client.Close()
	client.CollectRefusals() // otherwise they are printed
	if clouds, err := f.Clouds(ctx, client); err == nil {
		do(client, clouds)
	}
}
