package topology

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Headers of a command that waits for its time. The bridge writes them when it stores the command, and removes them when it hands the
// command over to its queue.
const (
	// HeaderDelayedSubject is the subject on which the command came.
	HeaderDelayedSubject = "Factro-Delayed-Subject"
	// HeaderDelayedUntil is when it may be handed over, RFC 3339.
	HeaderDelayedUntil = "Factro-Delayed-Until"
)

// HasSchedules says whether a server of a version knows message schedules, see [Schedules].
func HasSchedules(version string) bool { return Schedules.In(version) }

// DelayedStream is the name of the stream of commands of a cloud that wait for their time, such as FACTRO_DELAYED_ACME.
func DelayedStream(p events.Prefix, cloud string) string { return named(p, "DELAYED", cloud) }

// DelayedConsumer is the name of the durable consumer of delayed commands that are due.
const DelayedConsumer = "egress-delayed"

// WaitingSubject is the subject on which a delayed command waits as a message schedule, and DueSubject the one on which the server
// publishes it when its time has come. The key is that of one command.
func WaitingSubject(p events.Prefix, cloud, key string) string {
	return delayedSubject(p, cloud, "waiting", key)
}

// DueSubject is described with [WaitingSubject].
func DueSubject(p events.Prefix, cloud, key string) string {
	return delayedSubject(p, cloud, "due", key)
}

func delayedSubject(p events.Prefix, cloud, what, key string) string {
	return string(p) + ".delayed." + cloud + "." + what + "." + key
}

// delayedStream is a stream of its own: the queue of commands refuses what is new when it is full, and the server allows message
// schedules only where old messages give way. The bridge itself sees to it that this stream never gets that full.
func delayedStream(p events.Prefix, cloud string) Stream {
	return Stream{alike(jetstream.StreamConfig{
		Name: DelayedStream(p, cloud), Description: "Commands that wait for their time", Subjects: []string{string(p) + ".delayed." + cloud + ".>"},
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardOld, AllowMsgSchedules: true, AllowRollup: true,
	}), Delayed}
}

// Delayed is the stream of delayed commands. The work goes on without it.
func (p Plan) Delayed(cloud string) Stream { return p.Stream(delayedStream(p.Prefix, cloud)) }

// DueConsumer is the durable consumer of delayed commands that are due.
func (p Plan) DueConsumer(cloud string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: DelayedConsumer, Description: "Hands delayed commands over to their queue",
		FilterSubject: DueSubject(p.Prefix, cloud, ">"), AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute, MaxDeliver: -1,
	}
}

// OnlyForDelayed says whether a request to the API of JetStream, or a message, is one that only delayed commands need: without the right
// to it, all others go on. root is what the subjects of the API begin with.
func OnlyForDelayed(subject, root string, p events.Prefix, cloud string) bool {
	if strings.HasPrefix(subject, string(p)+".delayed."+cloud+".") || subject == p.Cancel(cloud) {
		return true
	}
	ofJetStream := strings.HasPrefix(subject, "$JS.") || strings.HasPrefix(subject, root+".")
	return ofJetStream && hasToken(subject, DelayedStream(p, cloud))
}

func hasToken(subject, token string) bool {
	for t := range strings.SplitSeq(subject, ".") {
		if t == token {
			return true
		}
	}
	return false
}
