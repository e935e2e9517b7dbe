package lease

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// LookConn is what a look at the fleet needs of a connection to NATS.
type LookConn interface {
	JetStream() jetstream.JetStream
	Settings() dial.Config
}

// Holder is a bridge that has a lease.
type Holder struct {
	Work, Cloud, Bridge string
}

// Standing is the fleet as its bucket shows it.
type Standing struct {
	// Bridges are those that are there, by their IDs.
	Bridges []Member
	// Holders have the leases, by work and cloud.
	Holders []Holder
}

// Look shows the bridges of a prefix and what each works on, to one who takes no part. A bridge that has been silent for longer than
// FleetTTL, by the clock of the broker alone, is not there. It needs the rights to see and to read the bucket. Without a bucket there
// is nothing to see.
func Look(ctx context.Context, conn LookConn, prefix events.Prefix) (Standing, error) {
	name := "KV_" + topology.ReconcileBucket(prefix)
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	s, err := conn.JetStream().Stream(attempt, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Standing{}, nil
	}
	if err != nil {
		return Standing{}, err
	}
	now, last := s.CachedInfo().TimeStamp, s.CachedInfo().State.LastSeq
	v := newView()
	key := "$KV." + strings.TrimPrefix(name, "KV_") + "."
	for at := uint64(0); at < last; {
		m, err := stored.Get(ctx, conn.Settings(), conn.JetStream(), name, at+1, key+">")
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return Standing{}, err
		}
		at = m.Sequence
		v.put(strings.TrimPrefix(m.Subject, key), m, m.Time)
	}
	v.newest = now
	return v.standing(now), nil
}

// standing is what a view shows at a time of the broker.
func (v *view) standing(now time.Time) Standing {
	var s Standing
	for id := range v.wants(now, FleetTTL) {
		s.Bridges = append(s.Bridges, v.members[id].Member)
	}
	for key, bridge := range v.held(now, FleetTTL) {
		if work, cloud, ok := strings.Cut(key, "."); ok { // else it is held for one run of the work only
			s.Holders = append(s.Holders, Holder{work, cloud, bridge})
		}
	}
	slices.SortFunc(s.Bridges, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Holders, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(a.Work, b.Work), cmp.Compare(a.Cloud, b.Cloud))
	})
	return s
}
