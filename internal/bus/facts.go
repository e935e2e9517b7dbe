package bus

import (
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events"
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

// Streams returns the facts about the streams of a cloud as the bridge makes them, in the order events, commands, results,
// dead letters, advisories.
func Streams(p events.Prefix, cloud string) []StreamFacts {
	var facts []StreamFacts
	for _, s := range []streamSpec{
		eventStream(p, cloud), commandStream(p, cloud), resultStream(p, cloud), deadStream(p, cloud), advisoryStream(p, cloud),
	} {
		c := s.StreamConfig
		facts = append(facts, StreamFacts{
			Name: c.Name, Description: c.Description, Subjects: c.Subjects,
			Retention: strings.ToLower(c.Retention.String()), Discard: strings.ToLower(strings.TrimPrefix(c.Discard.String(), "Discard")),
			Storage: strings.ToLower(c.Storage.String()), MaxAge: c.MaxAge, MaxMessages: c.MaxMsgs,
			Duplicates: c.Duplicates, MessageTTL: c.AllowMsgTTL, MaxBytes: s.most(Sizes{}), Setting: s.setting(),
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

// Buckets returns the facts about the object stores of a cloud as the bridge makes them.
func Buckets(p events.Prefix, cloud string) []BucketFacts {
	var facts []BucketFacts
	for _, c := range buckets(p, cloud) {
		facts = append(facts, BucketFacts{c.Bucket, c.Description, c.TTL, c.most(Sizes{}), c.setting()})
	}
	c := originalConfig(p.OriginalBucket(cloud))
	return append(facts, BucketFacts{c.Bucket, c.Description, c.TTL, sizeOriginals.most(Sizes{}), sizeOriginals.setting()})
}

// Facts about the service that answers queries.
const (
	// QueryQueue is its queue group.
	QueryQueue = queryQueue
	// HeaderRetryAfter is the header of an error that passes.
	HeaderRetryAfter = headerRetryAfter
)

// LedgerBucket is the name of the key-value bucket that remembers the commands of a cloud.
func LedgerBucket(p events.Prefix, cloud string) string { return named(p, "LEDGER", cloud) }

func named(p events.Prefix, kind, cloud string) string {
	return strings.ToUpper(string(p)) + "_" + kind + "_" + strings.ToUpper(cloud)
}

// HeaderFact is a header that the contract promises, and its meaning.
type HeaderFact struct{ Name, Meaning string }

// DeadHeaders returns the headers of a dead letter, beside those of the original message.
func DeadHeaders() []HeaderFact {
	return []HeaderFact{
		{headerDeadCode, "why it was given up, in a word: the code of the result, or `unusable`, `too_large` or `refused` for a webhook"},
		{headerDeadReason, "why, in a sentence; percent-encoded"},
		{headerDeadTime, "when, RFC 3339"},
		{headerDeadSubject, "the original's subject; of a command"},
		{headerDeadPosition, "the original's stream and sequence, `<stream>:<sequence>`; of a command"},
		{headerDeadAttempts, "how often it was delivered; of a command"},
		{headerDeadStatus, "factro's HTTP status, if it answered; of a command"},
		{headerDeadLog, "a JSON list with `{at, status, error, trace}` for each attempt, the oldest first, at most the last 20; percent-encoded; of a command"},
		{headerDeadTrace, "the `traceparent` of the span in which it was given up; of a command"},
		{headerDeadMessageID, "the original's message id, if it had one: the id of a plain command"},
		{headerDeadCut, "the size of the original's data in bytes, if the letter holds only a part of the original: it was too large to be kept whole beside these headers"},
		{headerDeadRequest, "the headers of the request that it came with, a JSON object with a list of values for each name; percent-encoded. Headers that may carry a secret are left out, and so is what exceeds 4 KiB; of a webhook that came in now"},
		{headerDeadOriginal, "the name of the whole original in the object store for originals; beside the header before, unless the store did not take it"},
	}
}

// Before each cloud had streams of its own, all clouds shared one of each kind, whose name has no cloud.
func oldName(p events.Prefix, kind string) string { return strings.ToUpper(string(p)) + "_" + kind }

// OldFileBucket is the bucket for files that all clouds shared. Commands that were sent then refer to it.
func OldFileBucket(p events.Prefix) string { return oldName(p, "FILES") }
