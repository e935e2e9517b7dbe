package topology

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Consumer is the durable consumer of one cloud's commands. ackWait is how long a crash goes unnoticed.
//
// MaxAckPending 1 means one command of a cloud at a time over all bridges, in the order of the stream: the second bridge
// stands by. A command is pulled only when it can be worked on, so AckWait never runs in a buffer; while it is worked on
// it is renewed, so AckWait is only how long a crash goes unnoticed. MaxDeliver is unlimited, since the verdict about a
// command is ours and a broker's count would strand it.
func (p Plan) Consumer(cloud string, ackWait time.Duration) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: EgressConsumer(cloud), Description: "Carries out the commands of " + cloud,
		FilterSubjects: commandSubjects(p.Prefix, cloud),
		AckPolicy:      jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: -1, MaxDeliver: -1,
	}
}

// EgressConsumer is the name of the durable consumer of a cloud's commands.
func EgressConsumer(cloud string) string { return "egress-" + cloud }
