package inspect

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// expected is a stream, and what is wanted of it if it is compared.
type expected struct {
	Stream
	want *topology.Stream
}

// expect lists all streams and buckets of the configured clouds.
func (i *Inspector) expect() (all []expected) {
	cfg := i.client.Settings()
	plan := cfg.Plan()
	add := func(cloud, name string, kind topology.Kind, want *topology.Stream) {
		all = append(all, expected{Stream{Name: name, Cloud: cloud, Kind: kind, Size: kind.Size(cfg.MaxBytes)}, want})
	}
	for _, cloud := range cfg.Clouds {
		for _, want := range ensure.Wanted(i.client, cloud) {
			add(cloud, want.Name, want.Kind, &want)
		}
		add(cloud, plan.Keys(cloud).Name, topology.Keys, nil)
		for _, bucket := range append(plan.Exchange(cloud), plan.Originals(cloud)) {
			add(cloud, "OBJ_"+bucket.Bucket, bucket.Kind, nil)
		}
	}
	add("", "KV_"+topology.ReconcileBucket(cfg.Prefix), topology.Reconcile, nil)
	add("", topology.ControlStream(cfg.Prefix), topology.Control, nil)
	return all
}

// streams looks all of them up that it may, some side by side.
func (i *Inspector) streams(ctx context.Context) []Stream {
	all := i.expect()
	out := make([]Stream, len(all))
	places := make(chan struct{}, streamsAtOnce)
	var group sync.WaitGroup
	for n, s := range all { // before the others begin: a request that is refused is never answered
		out[n] = s.Stream
		out[n].Err = i.refusal(ctx, "STREAM.INFO."+s.Name)
		if s.want != nil && out[n].Err == nil {
			all[n].ConsumersErr = i.refusal(ctx, "CONSUMER.LIST."+s.Name)
		}
	}
	for n, s := range all {
		if out[n].Err != nil {
			continue
		}
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(ctx, attempt)
			defer cancel()
			out[n] = i.stream(ctx, s)
		})
	}
	group.Wait()
	return out
}

func (i *Inspector) stream(ctx context.Context, s expected) Stream {
	out := s.Stream
	before := time.Now()
	have, err := i.client.JetStream().Stream(ctx, s.Name)
	after := time.Now()
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
	case err != nil:
		out.Err = fmt.Errorf("look up stream %s: %w", s.Name, i.client.Why(err, i.client.Settings().API("STREAM.")))
		return out
	default:
		info := have.CachedInfo()
		out.Found, out.Duplicates, out.Replicas = true, info.Config.Duplicates, info.Config.Replicas
		out.MaxMessage = max(0, int64(info.Config.MaxMsgSize))
		if !info.TimeStamp.IsZero() {
			out.Within = after.Sub(before) / 2
			out.Ahead = info.TimeStamp.Sub(before.Add(out.Within))
		}
	}
	if s.want == nil {
		return out
	}
	if out.Differences, err = ensure.Compare(ctx, i.client, s.Cloud, *s.want); err != nil {
		out.Err = i.client.Why(err, i.client.Settings().API("STREAM."))
		return out
	}
	if !out.Found || out.ConsumersErr != nil {
		return out
	}
	ahead, err := ensure.AheadIn(ctx, i.client, s.Cloud, s.Name)
	if err != nil {
		out.ConsumersErr = i.client.Why(err, i.client.Settings().API("CONSUMER."))
	}
	out.Differences = append(out.Differences, ahead...)
	return out
}

// refusal says that a request to the API of JetStream, which only reads, is refused, or is nil.
func (i *Inspector) refusal(ctx context.Context, request string) error {
	if subject := i.client.Settings().API(request); !health.MayRead(ctx, i.client.NATS(), subject) {
		return fmt.Errorf("this user may not publish to %s", subject)
	}
	return nil
}
