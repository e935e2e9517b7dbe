package takeover

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// giveUpSubjects takes the subjects of some clouds from an old stream. It keeps those of clouds whose commands another bridge carries
// out: that one takes them over itself.
func (t *Takeover) giveUpSubjects(ctx context.Context, old jetstream.Stream, wants []topology.Stream) error {
	info, err := old.Info(ctx)
	if err != nil {
		return err
	}
	cfg := info.Config
	var mine []string
	for _, want := range wants {
		mine = append(mine, want.Subjects...)
	}
	var keep []string
	for _, subject := range cfg.Subjects {
		switch {
		case slices.Contains(mine, subject):
		case strings.HasSuffix(subject, ".>") && slices.ContainsFunc(mine, func(m string) bool { return strings.HasPrefix(m, strings.TrimSuffix(subject, ">")) }):
			others, err := t.otherClouds(ctx)
			if err != nil {
				return err
			}
			for _, cloud := range others {
				keep = append(keep, subjectsLike(wants[0], t.cfg.Prefix, cloud)...)
			}
		default:
			keep = append(keep, subject)
		}
	}
	slices.Sort(keep)
	keep = slices.Compact(keep)
	if len(keep) == 0 {
		keep = []string{cfg.Name} // it cannot have none; nobody publishes there
	}
	if slices.Equal(keep, cfg.Subjects) {
		return nil
	}
	cfg.Subjects = keep
	if _, err := t.conn.JetStream().UpdateStream(ctx, cfg); err != nil {
		return fmt.Errorf("take the subjects from %s: %w", cfg.Name, err)
	}
	return nil
}

// subjectsLike are the subjects of another cloud's stream of the same kind.
func subjectsLike(spec topology.Stream, p events.Prefix, cloud string) []string {
	subjects := topology.Of(spec.Kind, p, cloud).Subjects
	if spec.Kind == topology.Commands {
		return subjects[:1] // an older version knows no other
	}
	return subjects
}

// otherClouds are those whose commands another bridge, of the older version, carries out.
func (t *Takeover) otherClouds(ctx context.Context) ([]string, error) {
	queue, err := t.old(ctx, topology.OldName(t.cfg.Prefix, "COMMANDS"))
	if queue == nil || err != nil {
		return nil, err
	}
	var clouds []string
	names := queue.ConsumerNames(ctx)
	for name := range names.Name() {
		if cloud, ok := strings.CutPrefix(name, "egress-"); ok && !slices.Contains(t.cfg.Clouds, cloud) {
			clouds = append(clouds, cloud)
		}
	}
	return clouds, names.Err()
}
