package topology

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const day = 24 * time.Hour

// Stream is a stream of the contract. Ages are a start: an operator may change them, and the
// sizes, on the server, and that is not drift.
type Stream struct {
	jetstream.StreamConfig
	Kind Kind
}

// Each cloud has streams of its own. So what is sent for one cloud fills no other's store, names no other's message ids,
// and nobody who may ask about a stream learns anything of another cloud.

func eventStream(p events.Prefix, cloud string) Stream {
	return Stream{alike(jetstream.StreamConfig{
		Name: p.EventStream(cloud), Description: "Events out of factro", Subjects: []string{string(p) + ".event." + cloud + ".>"},
		MaxAge: 30 * day, Compression: jetstream.S2Compression,
	}), Events}
}

// commandStream is a work queue: a command is gone when it is settled. Discard new, so that a sender hears that the queue is
// full, instead of an older sender losing a command without a word.
func commandStream(p events.Prefix, cloud string) Stream {
	return Stream{alike(jetstream.StreamConfig{
		Name: p.CommandStream(cloud), Description: "Commands into factro", Subjects: commandSubjects(p, cloud),
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxMsgs: 100_000, AllowMsgTTL: true,
	}), Commands}
}

// commandSubjects are those of commands, and of commands that an operator sends once more.
func commandSubjects(p events.Prefix, cloud string) []string {
	return []string{string(p) + ".command." + cloud + ".>", string(p) + ".redrive." + cloud + ".>"}
}

func resultStream(p events.Prefix, cloud string) Stream {
	return Stream{alike(jetstream.StreamConfig{
		Name: p.ResultStream(cloud), Description: "The outcome of each command", Subjects: []string{string(p) + ".result." + cloud + ".>"},
		MaxAge: 7 * day,
	}), Results}
}

// deadStream has limits and is no work queue: several readers look at dead letters, and a work queue allows only one.
func deadStream(p events.Prefix, cloud string) Stream {
	return Stream{alike(jetstream.StreamConfig{
		Name: p.DeadStream(cloud), Description: "Dead letters",
		Subjects: []string{string(p) + ".dead.command." + cloud + ".>", string(p) + ".dead.webhook." + cloud},
		MaxAge:   90 * day,
	}), Dead}
}

// alike gives a stream what all of them have.
func alike(c jetstream.StreamConfig) jetstream.StreamConfig {
	c.Duplicates, c.Storage, c.AllowDirect = DefaultDuplicateWindow, jetstream.FileStorage, true
	return c
}

// Required returns the streams of a cloud without which its work stands still, in the order in which they get room: what
// lets the queue of commands be worked off comes first. They are as the contract has them, whatever the operator wants.
func Required(p events.Prefix, cloud string) []Stream {
	return []Stream{
		resultStream(p, cloud),
		deadStream(p, cloud),
		{ledgerStream(LedgerBucket(p, cloud)), Ledger},
		commandStream(p, cloud),
		eventStream(p, cloud),
	}
}

// All are the streams of [Required], the one of advisories, the one of delayed commands, the one of the bridge's own events, and the one
// of changes, which is only there with a mirror.
func All(p events.Prefix, cloud string) []Stream {
	return append(Required(p, cloud), advisoryStream(p, cloud), delayedStream(p, cloud), bridgeStream(p, cloud), changesStream(p, cloud))
}

// Of is the stream of a kind, as the contract has it.
func Of(k Kind, p events.Prefix, cloud string) Stream {
	all := All(p, cloud)
	return all[slices.IndexFunc(all, func(s Stream) bool { return s.Kind == k })]
}

// Streams are those of [Required] as the plan wants them.
func (p Plan) Streams(cloud string) []Stream {
	all := Required(p.Prefix, cloud)
	for i := range all {
		all[i] = p.Stream(all[i])
	}
	return all
}

// Advisories is the stream of what the broker gives up by itself. The work goes on without it.
func (p Plan) Advisories(cloud string) Stream { return p.Stream(advisoryStream(p.Prefix, cloud)) }

// Bridge is the stream of what the bridge reports of itself. The work goes on without it.
func (p Plan) Bridge(cloud string) Stream { return p.Stream(bridgeStream(p.Prefix, cloud)) }

// bridgeStream keeps the bridge's own events apart from factro's: who reads those gets no others.
func bridgeStream(p events.Prefix, cloud string) Stream {
	return Stream{alike(jetstream.StreamConfig{
		Name: p.BridgeStream(cloud), Description: "What the bridge reports of itself", Subjects: []string{string(p) + ".bridge." + cloud + ".>"},
		MaxAge: 30 * day,
	}), Bridge}
}

func advisoryStream(p events.Prefix, cloud string) Stream {
	const subject = "$JS.EVENT.ADVISORY.CONSUMER."
	return Stream{alike(jetstream.StreamConfig{
		Name: AdvisoryStream(p, cloud), Description: "What the broker says of commands that were given up",
		Subjects: []string{
			subject + "MAX_DELIVERIES." + p.CommandStream(cloud) + ".*",
			subject + "MSG_TERMINATED." + p.CommandStream(cloud) + ".*",
		},
		// Old ones go first: without a bridge to read them they must not fill the disk.
		Retention: jetstream.WorkQueuePolicy, MaxMsgs: 100_000, MaxAge: 30 * 24 * time.Hour,
	}), Advisories}
}

// ledgerAge is how long a record is kept: a sender that repeats an id after a week has made a mistake that no ledger can
// repair.
const ledgerAge = 7 * 24 * time.Hour

// ledgerStream is the bucket, as the stream that it is. It is not made as a bucket, since those refuse what is new when
// they are full: then all commands would stop, and that for records of days ago.
func ledgerStream(bucket string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: "KV_" + bucket, Subjects: []string{"$KV." + bucket + ".>"}, Description: "Commands that were begun, and how they ended",
		MaxAge: ledgerAge, Discard: jetstream.DiscardOld, Storage: jetstream.FileStorage,
		// What makes a stream a bucket.
		MaxMsgsPerSubject: 1, AllowRollup: true, DenyDelete: true, AllowDirect: true, MaxMsgs: -1, MaxConsumers: -1, MaxMsgSize: -1,
		Duplicates: 2 * time.Minute,
	}
}

// Keys is the bucket of external keys, as the stream that it is. The rest of the work goes on without it.
func (p Plan) Keys(cloud string) Stream { return p.Stream(keysStream(p.Prefix, cloud)) }

// keysStream has no age: a key counts as long as its object. When it is full it refuses new keys, since a key that was dropped
// silently would let a create make its object again. Markers of deleted entries have an age of their own, see the package keys.
func keysStream(p events.Prefix, cloud string) Stream {
	bucket := KeysBucket(p, cloud)
	return Stream{jetstream.StreamConfig{
		Name: "KV_" + bucket, Subjects: []string{"$KV." + bucket + ".>"}, Description: "External keys of objects, and the ids that they stand for",
		Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage, AllowMsgTTL: true,
		// What makes a stream a bucket.
		MaxMsgsPerSubject: 1, AllowRollup: true, DenyDelete: true, AllowDirect: true, MaxMsgs: -1, MaxConsumers: -1, MaxMsgSize: -1,
		Duplicates: 2 * time.Minute,
	}, Keys}
}
