package commands

import (
	"hash/maphash"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/lane"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// hashSeed is the same for all clouds of the process.
var hashSeed = maphash.MakeSeed()

// entry is the place of a command in the schedule, as its attributes and its data have it. What cannot be read as a command has no
// lane: it is rejected whenever it comes.
func (q *cloudQueue) entry(msg *nats.Msg, seq uint64) lane.Entry {
	e := lane.Entry{Seq: seq, Priority: lane.Normal}
	cmd, mistake := q.conn.Settings().Prefix.DecodeCommand(msg.Subject, msg.Header, msg.Data, "")
	e.Source = cmd.Source()
	if mistake != nil {
		return e
	}
	if p, ok := cmd.Event.Extensions()[attr.Priority].(string); ok {
		switch p {
		case attr.PriorityHigh:
			e.Priority = lane.High
		case attr.PriorityLow:
			e.Priority = lane.Low
		}
	}
	if w, ok := q.worker.(Maker); ok {
		e.Makes = w.Makes(cmd)
	}
	if key, ok := cmd.Event.Extensions()[attr.PartitionKey].(string); ok && key != "" {
		e.Lane = "key\x00" + key
	} else if w, ok := q.worker.(Laner); ok {
		e.Lane = w.Lane(cmd)
	}
	if e.Lane == "" {
		e.Same = maphash.String(hashSeed, cmd.Identity())
	}
	if w, ok := q.worker.(Batcher); ok {
		e.Batch = w.BatchKey(cmd)
	}
	return e
}

// Laner is a Worker that knows which commands change the same thing.
type Laner interface {
	// Lane is the key of what a command changes; empty if it is in order with no other command.
	Lane(cmd events.Command) string
}

// Maker is a Worker that knows which commands make an object with a name of its sender's.
type Maker interface {
	// Makes is the key of the object that a command makes, as later commands may name it; empty if it makes none with a name.
	Makes(cmd events.Command) string
}
