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
	// Sort is what kind of difference it is, for who has to judge it. Consumer is the one that is ahead of its stream.
	Sort     Sort   `json:"-"`
	Consumer string `json:"-"`
}

// Sort is a kind of difference.
type Sort int

const (
	Missing  Sort = iota // the stream is not there
	Differs              // it is there with other settings, and the bridge works with it
	Unusable             // it takes nothing, or nobody can know what it has stored
	Taken                // another stream has its subjects
	Ahead                // a consumer has read further than the stream goes
)

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
	for _, want := range Wanted(c, cloud) {
		found, err := Compare(ctx, c, cloud, want)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	for _, want := range topology.All(c.Settings().Prefix, cloud) {
		found, err := AheadIn(ctx, c, cloud, want.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b Difference) int { return strings.Compare(a.Stream, b.Stream) })
	return all, nil
}

// Wanted are the streams that a bridge of this configuration makes for a cloud, on this version of the server.
func Wanted(c *client.Client, cloud string) []topology.Stream {
	plan := c.Settings().Plan()
	wanted := append(plan.Streams(cloud), plan.Advisories(cloud), plan.Bridge(cloud))
	if topology.HasSchedules(c.NATS().ConnectedServerVersion()) {
		wanted = append(wanted, plan.Delayed(cloud))
	}
	if c.Settings().Mirrors {
		wanted = append(wanted, plan.Mirror(cloud)...)
	}
	return wanted
}

// Compare compares one stream with what is wanted. It needs the right to look it up, and to list streams if something is wrong.
func Compare(ctx context.Context, c *client.Client, cloud string, want topology.Stream) (all []Difference, _ error) {
	have, err := c.JetStream().Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		d := Difference{Cloud: cloud, Stream: want.Name, What: "it is missing"}
		for _, subject := range want.Subjects {
			if name := publish.OtherOn(ctx, c.JetStream(), subject, want.Name); name != "" {
				d.Sort = Taken
				d.What += fmt.Sprintf("; the stream %s has its subject %s", name, subject)
			}
		}
		return []Difference{d}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", want.Name, err)
	}
	if text := topology.Drift(want.StreamConfig, have.CachedInfo().Config); text != "" {
		all = append(all, Difference{Cloud: cloud, Stream: want.Name, What: text, Sort: Differs})
	}
	weSend := want.Name != c.Settings().Prefix.CommandStream(cloud)
	for _, err := range []error{
		usable(have.CachedInfo(), weSend), missingSubjects(ctx, c.JetStream(), want.StreamConfig, have.CachedInfo(), weSend),
	} {
		if err == nil {
			continue
		}
		d := Difference{Cloud: cloud, Stream: want.Name, What: strings.TrimPrefix(err.Error(), "stream "+want.Name+" "), Sort: Unusable}
		if errors.Is(err, errTaken) {
			d.Sort = Taken
		}
		all = append(all, d)
	}
	return all, nil
}

// AheadIn returns the durable consumers of a stream that have read further than it goes. A stream that is missing has none.
func AheadIn(ctx context.Context, c *client.Client, cloud, stream string) (all []Difference, _ error) {
	s, err := c.JetStream().Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream, err)
	}
	found, err := aheadOf(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("consumers of %s: %w", stream, err)
	}
	for _, info := range found {
		all = append(all, Difference{Cloud: cloud, Stream: stream, What: aheadText(info, s.CachedInfo()), Sort: Ahead, Consumer: info.Name})
	}
	return all, nil
}
