package topology

import (
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// Mirror are the streams of a cloud that only the role mirror needs: the state of factro's objects, and what changed.
func (p Plan) Mirror(cloud string) []Stream {
	return []Stream{p.Stream(stateStream(p.Prefix, cloud)), p.Stream(changesStream(p.Prefix, cloud))}
}

// stateStream is the bucket of factro's objects, as the stream that it is. It has no age: an object counts as long as it is there at
// factro. When it is full it refuses what is new, since an object that was dropped silently would look like one that was deleted.
func stateStream(p events.Prefix, cloud string) Stream {
	bucket := change.Bucket(p, cloud)
	return Stream{jetstream.StreamConfig{
		Name: "KV_" + bucket, Subjects: []string{"$KV." + bucket + ".>"}, Description: "Objects as factro shows them",
		Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage, AllowMsgTTL: true,
		// What makes a stream a bucket.
		MaxMsgsPerSubject: 1, AllowRollup: true, DenyDelete: true, AllowDirect: true, MaxMsgs: -1, MaxConsumers: -1, MaxMsgSize: -1,
		Duplicates: 2 * time.Minute,
	}, State}
}

func changesStream(p events.Prefix, cloud string) Stream {
	return Stream{alike(jetstream.StreamConfig{
		Name: change.Stream(p, cloud), Description: "What changed in factro's objects", Subjects: []string{string(p) + ".change." + cloud + ".>"},
		MaxAge: 30 * day, Compression: jetstream.S2Compression,
	}), Changes}
}

// OnlyForMirror says whether a permission to publish there is one that only the role mirror needs: without it, events, commands and
// queries go on. In subject, which is in lower case, the API of JetStream is $js.api.
func OnlyForMirror(subject string, p events.Prefix, clouds []string) bool {
	if strings.HasPrefix(subject, string(p)+".change.") {
		return true
	}
	subject, _, _ = strings.Cut(subject, `"`) // the server's words go on behind it
	return strings.HasPrefix(subject, "$") && slices.ContainsFunc(clouds, func(cloud string) bool {
		state := strings.ToLower(change.Bucket(p, cloud))
		for _, token := range []string{state, "kv_" + state, strings.ToLower(change.Stream(p, cloud))} {
			if hasToken(subject, token) {
				return true
			}
		}
		return false
	})
}
