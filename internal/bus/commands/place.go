package commands

import (
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// Place is the state of a command of a cloud by its sequence in the stream, and how many are likely to go before it. known is false
// if it is not in the index of this bridge, works whether this bridge works on the commands of the cloud.
func (c *Consumer) Place(cloud string, sequence uint64) (state status.CommandState, before uint64, known, works bool) {
	c.mu.Lock()
	q := c.queues[cloud]
	c.mu.Unlock()
	if q == nil {
		return "", 0, false, false
	}
	state, before, known = q.index.Place(sequence)
	return state, before, known, true
}

// MakesBefore says whether a command of a cloud waits, or is being carried out, that makes the object of a key and is before a place
// in the stream. It is asked by the worker, so by the bridge that works on the commands.
func (c *Consumer) MakesBefore(cloud, key string, sequence uint64) bool {
	c.mu.Lock()
	q := c.queues[cloud]
	c.mu.Unlock()
	return q != nil && index.MakesBefore(q.index, key, sequence)
}
