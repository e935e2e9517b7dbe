package topology

import (
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

// StreamFacts is what the contract promises of a stream, for those who describe it without a connection.
type StreamFacts struct {
	Name, Description string
	Subjects          []string
	// Retention, Discard and Storage are JetStream's own words: limits or workqueue, old or new, file.
	Retention, Discard, Storage string
	// MaxAge is how long a message is kept and MaxMessages how many there may be; 0 means without limit. MaxBytes is how
	// much they may be unless Setting, a path in the configuration, says otherwise; without one it is fixed.
	MaxAge      time.Duration
	MaxMessages int64
	MaxBytes    int64
	Setting     string
	// Duplicates is how long a message id is recognised.
	Duplicates time.Duration
	// MessageTTL says whether a message may bring a shorter life of its own.
	MessageTTL bool
}

// StreamsOf returns the facts about the streams of a cloud as the bridge makes them, in the order events, commands, results,
// dead letters, advisories, delayed commands, the bridge's own events, changes. That of changes is only there with a mirror.
func StreamsOf(p events.Prefix, cloud string) []StreamFacts {
	var facts []StreamFacts
	for _, s := range []Stream{
		eventStream(p, cloud), commandStream(p, cloud), resultStream(p, cloud), deadStream(p, cloud), advisoryStream(p, cloud),
		delayedStream(p, cloud), bridgeStream(p, cloud), changesStream(p, cloud),
	} {
		c := s.StreamConfig
		facts = append(facts, StreamFacts{
			Name: c.Name, Description: c.Description, Subjects: c.Subjects,
			Retention: strings.ToLower(c.Retention.String()), Discard: strings.ToLower(strings.TrimPrefix(c.Discard.String(), "Discard")),
			Storage: strings.ToLower(c.Storage.String()), MaxAge: c.MaxAge, MaxMessages: c.MaxMsgs,
			Duplicates: c.Duplicates, MessageTTL: c.AllowMsgTTL, MaxBytes: s.Kind.Size(Sizes{}), Setting: s.Kind.Setting(),
		})
	}
	return facts
}

// BucketFacts is what the contract promises of an object store bucket.
type BucketFacts struct {
	Name, Description string
	// MaxAge is how long an object is kept, MaxBytes how much all of them may be.
	MaxAge   time.Duration
	MaxBytes int64
	Setting  string
}

// BucketsOf returns the facts about the object stores of a cloud as the bridge makes them.
func BucketsOf(p events.Prefix, cloud string) []BucketFacts {
	var facts []BucketFacts
	for _, c := range append(exchange(p, cloud), originals(p, cloud)) {
		facts = append(facts, BucketFacts{c.Bucket, c.Description, c.TTL, c.Kind.Size(Sizes{}), c.Kind.Setting()})
	}
	return facts
}

// DeadCommandCodes are the codes with which the bridge itself terminates a command: those of its dead letters.
var DeadCommandCodes = []string{
	events.CodeInvalid, events.CodeUnknownOperation, events.CodeExpired, events.CodeConflict, events.CodeRefused, events.CodeExhausted,
	events.CodeAmbiguous, events.CodePolicy, events.CodePurged, events.CodeUnknownKey, notbefore.CodeUnsupported, notbefore.CodeFull,
}

// ClockSkew is how far the clocks of a cluster's servers may be apart.
const ClockSkew = time.Minute
