package inspect

import (
	"context"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// Facts are what is known of a NATS server and of the account there.
type Facts struct {
	Server Server
	// Account is what the account may store. AccountErr is why that is not known; NoJetStream says that it has no JetStream at all.
	Account     Account
	AccountErr  error
	NoJetStream bool
	// Streams are those that a bridge of the configuration makes, and the shared buckets.
	Streams []Stream
	// Permissions are those that the roles need. PermissionsErr is why they could not be asked for.
	Permissions    []Permission
	PermissionsErr error
}

// Server is the server of the connection.
type Server struct {
	Name, Version, Cluster string
	// Missing are the features that its version lacks.
	Missing []topology.Feature
	// MaxPayload is the largest message that it takes.
	MaxPayload int64
}

// Account is what the account has, and how much of it is in use. A limit of -1 or less is none.
type Account struct {
	Domain              string
	Streams, MaxStreams int
	Stored, Reserved    uint64
	MaxStored           int64
	// MaxStream is the most that one stream may hold; 0 for as much as there is.
	MaxStream int64
	// Tiered says that the account has limits for each number of replicas instead of these.
	Tiered bool
}

// Stream is one stream or bucket that the bridge needs.
type Stream struct {
	Name string
	// Cloud is "" for a bucket of all clouds.
	Cloud string
	Kind  topology.Kind
	// Size is how many bytes it should have.
	Size int64
	// Found says that it is there. Err is why that is not known.
	Found bool
	Err   error
	// The rest is only known of streams that were found.
	Duplicates time.Duration
	Replicas   int
	// MaxMessage is the largest message that it takes; 0 for that of the server.
	MaxMessage int64
	// Ahead is how far the clock of the server that answered is ahead of ours, give or take Within.
	Ahead, Within time.Duration
	// ConsumersErr is why its consumers are not known.
	ConsumersErr error
	// Differences are what is not as a bridge needs it.
	Differences []ensure.Difference
}

// Inspector reads facts.
type Inspector struct{ client *client.Client }

// New returns an inspector of a connection, which has to collect the permissions that are refused.
func New(c *client.Client) *Inspector { return &Inspector{client: c} }

// streamsAtOnce bounds how many streams are looked up side by side; attempt how long one of them may take.
const (
	streamsAtOnce = 8
	attempt       = 5 * time.Second
)

// Look reads all facts. roles are those whose permissions are asked for.
func (i *Inspector) Look(ctx context.Context, roles []string) Facts {
	f := Facts{Server: i.server()}
	for _, feature := range f.Server.Missing {
		if feature.Required {
			return f // such a server answers otherwise than expected
		}
	}
	f.Account, f.NoJetStream, f.AccountErr = i.account(ctx)
	if f.NoJetStream && i.client.Settings().APIPrefix == "" {
		return f
	}
	f.Permissions, f.PermissionsErr = i.permissions(ctx, roles)
	f.Streams = i.streams(ctx)
	// An account that has JetStream from another one may have imported streams, and not the question about the account.
	f.NoJetStream = f.NoJetStream && !slices.ContainsFunc(f.Streams, func(s Stream) bool { return s.Err == nil })
	return f
}

func (i *Inspector) server() Server {
	nc := i.client.NATS()
	s := Server{
		Name: nc.ConnectedServerName(), Version: nc.ConnectedServerVersion(), Cluster: nc.ConnectedClusterName(), MaxPayload: nc.MaxPayload(),
	}
	for _, f := range topology.Features() {
		if !f.In(s.Version) {
			s.Missing = append(s.Missing, f)
		}
	}
	return s
}
