package connect

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
)

// completionTime bounds a completion that asks the broker: a shell waits for it. What is found by then is offered, and a failure
// is none of its business.
const completionTime = 800 * time.Millisecond

// Within collects what look offers for a bounded time, also if look itself hangs, as in a connection.
func Within(ctx context.Context, look func(context.Context, func(string))) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	offers, done := make(chan string), make(chan struct{})
	go func() { // ends with the process, which ends with the completion
		defer close(done)
		look(ctx, func(offer string) {
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

// completeCloud completes the names of clouds: those of the configuration, else those that have streams.
func (f *Flags) completeCloud(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return Within(cmd.Context(), func(ctx context.Context, offer func(string)) {
		f.eachCloud(ctx, func(_ *client.Client, clouds []string) {
			for _, cloud := range clouds {
				offer(cloud)
			}
		})
	}), cobra.ShellCompDirectiveNoFileComp
}

// eachCloud hands over the clouds that there are, and a connection unless the configuration lists them all. Failures are silent.
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

// Connected is eachCloud with a connection in any case.
func (f *Flags) Connected(ctx context.Context, do func(*client.Client, []string)) {
	client, err := f.Dial()
	if err != nil {
		return
	}
	defer client.Close()
	client.CollectRefusals() // else they are printed
	if clouds, err := f.Clouds(ctx, client); err == nil {
		do(client, clouds)
	}
}
