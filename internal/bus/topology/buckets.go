package topology

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Ages of what the two object stores hold. An answer is fetched at once by the one who asked: kept for longer, those of a
// service that asks every minute would fill the bucket.
const filesFor, answersFor = 7 * 24 * time.Hour, 10 * time.Minute

// Bucket is an object store of a cloud.
type Bucket struct {
	jetstream.ObjectStoreConfig
	Kind Kind
}

// exchange are the object stores through which files and answers pass.
func exchange(p events.Prefix, cloud string) []Bucket {
	return []Bucket{
		{jetstream.ObjectStoreConfig{Bucket: p.FileBucket(cloud), Description: "Files that commands upload to factro", TTL: filesFor}, Files},
		{jetstream.ObjectStoreConfig{Bucket: p.AnswerBucket(cloud), Description: "Answers to queries that no message can hold", TTL: answersFor}, Answers},
	}
}

// Exchange are the object stores through which files and answers pass.
func (p Plan) Exchange(cloud string) []Bucket {
	all := exchange(p.Prefix, cloud)
	for i := range all {
		all[i] = p.bucket(all[i])
	}
	return all
}

// Originals is the object store for what no stream takes.
func (p Plan) Originals(cloud string) Bucket { return p.bucket(originals(p.Prefix, cloud)) }

// Reconcile is the bucket that holds, for each cloud, who reconciles it and how far that is.
func (p Plan) Reconcile() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{
		Bucket: ReconcileBucket(p.Prefix), Description: "Which bridge works on each cloud, and how far its reconciliation is", History: 1,
		Replicas: p.replicas(Reconcile), Placement: p.placement(Reconcile),
	}
}

// originalsFor is how long an original is kept: as long as its dead letter.
const originalsFor = 90 * day

func originals(p events.Prefix, cloud string) Bucket {
	return Bucket{jetstream.ObjectStoreConfig{
		Bucket: p.OriginalBucket(cloud), Description: "Originals of dead letters that hold only a part, and what could not be published yet",
		TTL: originalsFor,
	}, Originals}
}
