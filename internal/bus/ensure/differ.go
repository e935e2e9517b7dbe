package ensure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/progress"
)

// Difference says what of a stream or of one of its consumers is not as a bridge of this configuration needs it.
type Difference struct {
	Cloud  string `json:"cloud"`
	Stream string `json:"stream"`
	What   string `json:"what"`
}

// differTimeout bounds the check of one cloud's streams: a request that is refused is never answered.
const differTimeout = 10 * time.Second

// Differences compares the streams of the configured clouds, and their durable consumers, with what a bridge makes. It changes
// nothing. It needs the right to look up and list streams and consumers. watched shows how far it is, unless it is nil.
func Differences(ctx context.Context, c *client.Client, watched *progress.Task) ([]Difference, error) {
	var all []Difference
	watched.Begin("compare the streams", "cloud", int64(len(c.Settings().Clouds)))
	for _, cloud := range c.Settings().Clouds {
		ctx, cancel := context.WithTimeout(ctx, differTimeout)
		found, err := differences(ctx, c, cloud)
		cancel()
		if err != nil {
			return nil, c.Why(err, c.Settings().API(""))
		}
		all = append(all, found...)
		watched.Add(1)
	}
	return all, nil
}

func differences(ctx context.Context, c *client.Client, cloud string) ([]Difference, error) {
	var all []Difference
	p := c.Settings().Prefix
	wanted := append(c.Settings().Plan().Streams(cloud), c.Settings().Plan().Advisories(cloud), c.Settings().Plan().Bridge(cloud))
	if topology.HasSchedules(c.NATS().ConnectedServerVersion()) {
		wanted = append(wanted, c.Settings().Plan().Delayed(cloud))
	}
	if c.Settings().Mirrors {
		wanted = append(wanted, c.Settings().Plan().Mirror(cloud)...)
	}
	for _, want := range wanted {
		add := func(what string) {
			if what != "" {
				all = append(all, Difference{cloud, want.Name, what})
			}
		}
		have, err := c.JetStream().Stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			what := []string{"it is missing"}
			for _, subject := range want.Subjects {
				if name := publish.OtherOn(ctx, c.JetStream(), subject, want.Name); name != "" {
					what = append(what, fmt.Sprintf("the stream %s has its subject %s", name, subject))
				}
			}
			add(strings.Join(what, "; "))
			continue
		case err != nil:
			return nil, fmt.Errorf("look up stream %s: %w", want.Name, err)
		}
		add(topology.Drift(want.StreamConfig, have.CachedInfo().Config))
		weSend := want.Name != p.CommandStream(cloud)
		for _, err := range []error{
			usable(have.CachedInfo(), weSend), missingSubjects(ctx, c.JetStream(), want.StreamConfig, have.CachedInfo(), weSend),
		} {
			if err != nil {
				add(strings.TrimPrefix(err.Error(), "stream "+want.Name+" "))
			}
		}
	}
	for _, want := range topology.All(p, cloud) {
		s, err := c.JetStream().Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up stream %s: %w", want.Name, err)
		}
		found, err := aheadOf(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("consumers of %s: %w", want.Name, err)
		}
		for _, info := range found {
			all = append(all, Difference{cloud, want.Name, aheadText(info, s.CachedInfo())})
		}
	}
	slices.SortStableFunc(all, func(a, b Difference) int { return strings.Compare(a.Stream, b.Stream) })
	return all, nil
}
