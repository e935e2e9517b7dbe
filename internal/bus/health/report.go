package health

import (
	"cmp"
	"fmt"
	"slices"
)

// Report is what keeps the bridge from its work, each nil if nothing does.
type Report struct {
	// Broker is what all work meets: there is no connection, a permission is refused, or a stream is not as it must be.
	Broker error
	// Webhooks is why events and dead webhooks cannot be stored, although the broker seems to be well.
	Webhooks error
	// Commands is why commands cannot be pulled, or why their results cannot be stored. What the sender of one command
	// does can show here, so it says nothing about webhooks.
	Commands error
}

// first is what is wrong, nil if nothing is.
func (r Report) first() error { return cmp.Or(r.Broker, r.Webhooks, r.Commands) }

// Report says what keeps the bridge from its work. A part that works for one cloud is healthy: what is wrong with the others,
// OfCloud tells.
func (h *Health) Report() Report {
	if err := h.conn.Away(); err != nil {
		return Report{Broker: err}
	}
	r := Report{Broker: h.refusal(""), Webhooks: h.trouble("", webhookSide), Commands: h.trouble("", commandSide)}
	var broker, webhooks, commands []error
	clouds := make([]Report, len(h.cfg.Clouds))
	for i, cloud := range h.cfg.Clouds {
		clouds[i] = h.OfCloud(cloud)
		broker = append(broker, clouds[i].Broker)
	}
	r.Broker = cmp.Or(r.Broker, ofAll(broker))
	for _, c := range clouds {
		if r.Broker == nil { // what the broker lacks for some clouds keeps both kinds of work from these
			c.Webhooks, c.Commands = cmp.Or(c.Broker, c.Webhooks), cmp.Or(c.Broker, c.Commands)
		}
		webhooks, commands = append(webhooks, c.Webhooks), append(commands, c.Commands)
	}
	r.Webhooks, r.Commands = cmp.Or(r.Webhooks, ofAll(webhooks)), cmp.Or(r.Commands, ofAll(commands))
	return r
}

// OfCloud says what keeps the bridge from the work of a cloud beside what Report says of all: streams that are missing, broken
// or full, publishes that are refused, commands that cannot be pulled.
func (h *Health) OfCloud(cloud string) Report {
	bound := h.streams.found(cloud)
	return Report{
		Broker:   cmp.Or(h.refusal(cloud), bound),
		Webhooks: h.trouble(cloud, webhookSide), Commands: h.trouble(cloud, commandSide),
	}
}

// Ready says whether the bridge can do work of each kind, or why not.
func (h *Health) Ready() error { return h.Report().first() }

// Troubles returns what keeps the bridge from the work of each cloud. It leaves out clouds without trouble.
func (h *Health) Troubles() map[string]error {
	troubles := map[string]error{}
	for _, cloud := range h.cfg.Clouds {
		if err := h.OfCloud(cloud).first(); err != nil {
			troubles[cloud] = err
		}
	}
	return troubles
}

// ofAll is the first of several errors if there is no nil among them.
func ofAll(errs []error) error {
	if slices.Contains(errs, nil) {
		return nil
	}
	return First(errs)
}

// refusal is the first thing to report about a cloud, or, with an empty name, about all of them: it is why other things
// fail. The rest is why although the streams are there, work cannot be done.
func (h *Health) refusal(cloud string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, r := range h.refused {
		if r.cloud == cloud {
			errs = append(errs, fmt.Errorf("NATS refuses a permission: %w", r.Err))
		}
	}
	return First(errs)
}

// trouble is why the work of a side cannot be done for a cloud, or, with an empty name, for none.
func (h *Health) trouble(cloud string, of side) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for destination, f := range h.failing {
		if !f.past && f.cloud == cloud && sideOf(destination) == of {
			errs = append(errs, fmt.Errorf("the last publish to %s failed: %w", destination, f.err))
		}
	}
	if err := h.pulling[cloud]; err != nil && of == commandSide {
		errs = append(errs, fmt.Errorf("the commands of %s cannot be pulled: %w", cloud, err))
	}
	return First(errs)
}

// First is one of several errors, the same one each time, and how many more there are.
func First(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	least := errs[0]
	for _, err := range errs[1:] {
		if err.Error() < least.Error() {
			least = err
		}
	}
	if len(errs) == 1 {
		return least
	}
	return fmt.Errorf("%w (and %d more)", least, len(errs)-1)
}
