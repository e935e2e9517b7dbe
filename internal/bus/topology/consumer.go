package topology

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Consumer is the durable consumer of one cloud's commands. ackWait is how long the broker waits for word of one.
//
// MaxAckPending -1 means that the bridge that works on the commands gets all of them, and decides itself which one is next. That
// only one bridge works on them is the matter of a lease: who takes over creates the consumer again, so that all that is not settled
// comes again at once. So AckWait is not how long a crash goes unnoticed, but how often the broker has to hear of what waits.
// MaxDeliver is unlimited, since the verdict about a command is ours and a broker's count would strand it.
func (p Plan) Consumer(cloud string, ackWait time.Duration) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: EgressConsumer(cloud), Description: "Carries out the commands of " + cloud,
		FilterSubjects: commandSubjects(p.Prefix, cloud),
		AckPolicy:      jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: -1, MaxDeliver: -1,
	}
}

// EgressConsumer is the name of the durable consumer of a cloud's commands.
func EgressConsumer(cloud string) string { return "egress-" + cloud }
