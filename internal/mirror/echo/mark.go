package echo

import (
	"encoding/json"
	"time"
)

// Certainty says how sure it is that a command made a change.
type Certainty string

const (
	// Exact: factro's own answer proves it. Nothing but the command is in the change.
	Exact Certainty = "exact"
	// Likely: the command explains all of the change, and nothing speaks for anybody else.
	Likely Certainty = "likely"
)

// Mark is the command that made a change.
type Mark struct {
	Cause     string // its id
	Sender    string // its source, empty if it has none
	Certainty Certainty
}

// change is a change of an object whose mark is looked for.
type change struct {
	*Recent
	changed       []string
	after         object
	was, is       time.Time // when the object was changed by factro's clock, before and after
	createdAt     time.Time // when it was created, by factro's clock or that of whoever created it
	readBefore    time.Time // when the read before began, zero if that is not known
	readAt        time.Time
	commands      []*command // of the object, in the order in which they began
	created, gone bool
}

// Mark finds the command that made a change of an object. before and after are the whole objects: before is nil if it was created,
// after if it was deleted. changed are the names of the fields that changed, without those whose change is none. readAt is when the
// read began that found the change. The same change may be asked for again.
func (r *Recent) Mark(resource, id string, before, after map[string]json.RawMessage, changed []string, readAt time.Time) (Mark, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := entityKey{resource, id}
	e, readBefore := r.saw(key, readAt)
	if len(e.commands) == 0 {
		return Mark{}, false
	}
	c := change{
		Recent: r, changed: changed, after: r.digest.objectOf(after, r.limits.Drop[resource]), was: timeIn(before, stamps), is: timeIn(after, stamps),
		createdAt:  timeIn(after, birthdays),
		readBefore: readBefore, readAt: readAt, created: before == nil, gone: after == nil,
	}
	c.commands = c.candidates(e.commands)
	switch {
	case c.gone:
		return c.deletion()
	case c.created:
		return c.creation()
	}
	return c.update()
}

// candidates are the commands that can be in the change, in the order in which they began.
func (c *change) candidates(all []*command) []*command {
	var out []*command
	for _, cmd := range all {
		if c.isLater(cmd) || c.isEarlier(cmd) {
			continue
		}
		at := len(out)
		for at > 0 && out[at-1].started.After(cmd.started) {
			at--
		}
		out = append(out, nil)
		copy(out[at+1:], out[at:])
		out[at] = cmd
	}
	return out
}

// isLater says whether a command began when the object had been read already.
func (c *change) isLater(cmd *command) bool { return cmd.started.After(c.readAt.Add(c.limits.Skew)) }

// isEarlier says whether a command is part of the state before, or too old.
func (c *change) isEarlier(cmd *command) bool {
	switch {
	case cmd.finished.Before(c.readAt.Add(-c.limits.Age)):
		return true
	case !cmd.used.IsZero() && cmd.used.Before(c.readAt):
		return true
	case cmd.action != Updates: // an object is created and deleted once
		return false
	case !cmd.stamp.IsZero() && !c.was.IsZero(): // both are by the clock of factro
		return !cmd.stamp.After(c.was)
	case !c.readBefore.IsZero() && cmd.finished.Before(c.readBefore):
		return true
	}
	return !c.was.IsZero() && c.was.After(cmd.finished.Add(c.limits.Skew))
}

// mark is the mark with a command, the last one of those that made the change.
func (c *change) mark(certainty Certainty, by ...*command) (Mark, bool) {
	for _, cmd := range by {
		if cmd.used.IsZero() {
			cmd.used = c.readAt
		}
	}
	last := by[len(by)-1]
	return Mark{last.id, last.source, certainty}, true
}

// deletion marks the change of an object that is gone. If factro answered a delete with success, that delete did it: a second one
// is answered with 404.
func (c *change) deletion() (Mark, bool) {
	var sure, doubtful []*command
	for _, cmd := range c.commands {
		switch {
		case cmd.action != Deletes:
		case cmd.doubtful:
			doubtful = append(doubtful, cmd)
		default:
			sure = append(sure, cmd)
		}
	}
	switch {
	case len(sure) == 1 || len(sure) > 1 && ofOneSender(sure):
		return c.mark(Exact, sure...)
	case len(sure) == 0 && len(doubtful) > 0 && ofOneSender(doubtful):
		return c.mark(Likely, doubtful...)
	}
	return Mark{}, false
}

// creation marks the change of an object that is new. Only the command that made it can be the cause, with later ones of the same
// sender.
func (c *change) creation() (Mark, bool) {
	var made *command
	for _, cmd := range c.commands {
		if cmd.action == Creates && cmd.answer != nil {
			made = cmd
		}
	}
	if made == nil || made.doubtful && !c.isFresh(made) {
		return Mark{}, false
	}
	if !made.doubtful && c.isWhole(made) {
		return c.mark(Exact, made)
	}
	var others []string
	for _, name := range c.changed {
		if c.digest.field(made.answer, name) != c.digest.field(c.after, name) {
			others = append(others, name)
		}
	}
	if len(others) == 0 {
		return c.mark(Likely, made)
	}
	more := c.explain(others)
	if more == nil || !sameSender(made, more[0]) || !c.inTime(more) {
		return Mark{}, false
	}
	return c.mark(Likely, append([]*command{made}, more...)...)
}

// isFresh says whether an object was not changed since it was created, by its own times, and has what the command has set. The answer
// of a command that found its object later may have what somebody else wrote meanwhile.
func (c *change) isFresh(made *command) bool {
	for name, value := range made.set {
		if now, has := c.after[name]; has && value != unknown && value != now {
			return false
		}
	}
	if c.is.IsZero() || c.createdAt.IsZero() {
		return false
	}
	since := c.is.Sub(c.createdAt) // the bridge may have set the time of creation, shortly before the call
	return since >= -c.limits.Skew && since <= c.limits.Skew/4
}

// update marks the change of an object that was there before.
func (c *change) update() (Mark, bool) {
	if len(c.changed) == 0 {
		return Mark{}, false
	}
	for _, cmd := range c.commands {
		if cmd.action != Updates || cmd.doubtful || !c.isWhole(cmd) || !cmd.setsAll(c.changed) {
			continue
		}
		switch {
		case c.rival(cmd):
			return Mark{}, false
		case !c.is.IsZero() && c.is.After(c.was) && !c.was.IsZero():
			return c.mark(Exact, cmd) // whoever writes after it changes the time of the last change
		case c.is.IsZero() && c.was.IsZero():
			return c.mark(Likely, cmd)
		}
		return Mark{}, false // the object did not become newer, so an old state was read
	}
	by := c.explain(c.changed)
	if by == nil || !c.inTime(by) {
		return Mark{}, false
	}
	return c.mark(Likely, by...)
}

// isWhole says whether the object is what factro answered to a command, in all fields.
func (c *change) isWhole(cmd *command) bool {
	if cmd.answer == nil || len(cmd.answer) != len(c.after) {
		return false
	}
	for name, value := range cmd.answer {
		if c.after[name] != value {
			return false
		}
	}
	return true
}

func (cmd *command) setsAll(names []string) bool {
	for _, name := range names {
		if _, sets := cmd.set[name]; !sets {
			return false
		}
	}
	return true
}

// rival says whether a command of another sender may have set one of the fields to the same value.
func (c *change) rival(cmd *command) bool {
	for _, other := range c.commands {
		if other == cmd || sameSender(other, cmd) {
			continue
		}
		for _, name := range c.changed {
			if c.explains(other, name) {
				return true
			}
		}
	}
	return false
}

// explains says whether a command has set a field to the value that it has now, as far as that is known.
func (c *change) explains(cmd *command, name string) bool {
	value, sets := cmd.set[name]
	if answered, has := cmd.answer[name]; has {
		value = answered
	} else if cmd.answer != nil && value == unknown {
		value = c.digest.null()
	}
	return sets && (value == unknown || value == c.digest.field(c.after, name))
}

// explain returns the commands of one sender that have set fields to the values that they have now, if there are any for each field,
// and if no other sender has such a command.
func (c *change) explain(fields []string) []*command {
	var out []*command
	for _, cmd := range c.commands {
		if cmd.action != Updates {
			continue
		}
		for _, name := range fields {
			if c.explains(cmd, name) {
				out = append(out, cmd)
				break
			}
		}
	}
	if len(out) == 0 || !ofOneSender(out) {
		return nil
	}
	for _, name := range fields {
		explained := false
		for _, cmd := range out {
			explained = explained || c.explains(cmd, name)
		}
		if !explained {
			return nil
		}
	}
	return out
}

// inTime says whether the object was changed last while commands of the sender were carried out, if it tells when that was.
func (c *change) inTime(by []*command) bool {
	if c.is.IsZero() {
		return true
	}
	last := by[len(by)-1]
	first, end := last.started, last.finished
	for _, cmd := range c.commands {
		if cmd != last && !sameSender(cmd, last) {
			continue
		}
		if cmd.finished.After(end) {
			end = cmd.finished
		}
		if cmd.stamp.After(end) {
			end = cmd.stamp
		}
	}
	if !last.stamp.IsZero() {
		first = last.stamp
	}
	return !c.is.Before(first.Add(-c.limits.Skew)) && !c.is.After(end.Add(c.limits.Skew))
}

// sameSender says whether two commands have the same sender. One without a source may have any.
func sameSender(a, b *command) bool { return a == b || a.source != "" && a.source == b.source }

func ofOneSender(all []*command) bool {
	for _, cmd := range all {
		if !sameSender(cmd, all[0]) {
			return false
		}
	}
	return true
}
