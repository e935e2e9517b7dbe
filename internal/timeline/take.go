package timeline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/history"
	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// entry is an entry about a message of a stream, at the time at which that took it.
func (s *search) entry(step, stream string, m history.Message) Entry {
	e := Entry{Time: m.Time().UTC(), Clock: OfBroker, Step: step, Cloud: s.cloud, Stream: stream, Sequence: m.Sequence, Subject: m.Subject}
	e.Trace = m.Event().TraceID()
	return e
}

// value is an attribute of an event, decoded.
func value(m history.Message, name string) string { return decoded(m.Value(attribute + name)) }

func moment(text string) (time.Time, bool) {
	at, err := time.Parse(time.RFC3339Nano, text)
	return at.UTC(), err == nil
}

// takeEvent takes an event out of its stream.
func (s *search) takeEvent(m history.Message) {
	e := s.entry(Stored, s.names.events, m)
	read := m.Event()
	e.Event, e.Resource, e.Entity = value(m, "id"), token(m.Subject, 3), token(m.Subject, 4)
	if read.Broken == nil {
		e.Event = read.Event.ID()
		if resource, id, ok := strings.Cut(read.Event.Subject(), "/"); ok {
			e.Resource, e.Entity = resource, id
		}
	}
	what := fmt.Sprintf("%s of %s %s", cmp.Or(value(m, attr.Action), token(m.Subject, 5)), e.Resource, e.Entity)
	e.Text = what
	s.learnEvent(e)
	origin := value(m, attr.Origin)
	if at, ok := moment(value(m, attr.RecordedTime)); ok {
		came := e
		came.Time, came.Clock, came.Step, came.Text = at, OfBridge, Received, what+" by webhook"
		switch origin {
		case "spool":
			came.Text += ", kept on disk since NATS took nothing"
			e.Text += " out of the spool"
		case "reconcile":
			came.Step, came.Text = Found, what+" among the payloads that factro stores; its webhook had not come"
		}
		if happened, ok := moment(value(m, "time")); ok && !happened.Equal(at) {
			came.Text += "; by factro's clock of " + timetext.FineStamp(happened)
		}
		s.add(came)
	}
	s.add(e)
}

// takeChange takes a change of the mirror.
func (s *search) takeChange(m history.Message) {
	e := s.entry(Changed, s.names.changes, m)
	e.Resource, e.Entity = token(m.Subject, 3), cmp.Or(value(m, "subject"), token(m.Subject, 4))
	e.Events = strings.Fields(value(m, attr.CausationID))
	e.Command, e.Source = value(m, attr.Cause), value(m, attr.Sender)
	if s.q.Source != "" && e.Command == s.q.ID && e.Source != s.q.Source {
		return
	}
	var data struct {
		Changed []string `json:"changed"`
	}
	what := token(m.Subject, 5)
	e.Text = fmt.Sprintf("%s %s %s", e.Resource, e.Entity, what)
	if what == "updated" && json.Unmarshal(m.Data, &data) == nil && len(data.Changed) > 0 {
		e.Text += ": " + list(data.Changed)
	}
	if e.Command != "" {
		e.Text += fmt.Sprintf(", by the command %s (%s)", e.Command, value(m, attr.Certainty))
		s.learnCommand(Entry{Command: e.Command, Source: e.Source, Time: e.Time, Resource: e.Resource, Entity: e.Entity})
	}
	if value(m, attr.Origin) == "verify" {
		e.Text += ", found by comparing with factro"
	}
	s.learnChange(e)
	s.add(e)
}

// list names some of several things.
func list(names []string) string {
	const most = 6
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// takeResult takes the result of a command, or why it has to wait.
func (s *search) takeResult(m history.Message) {
	e := s.entry(Resulted, s.names.results, m)
	e.Command, e.Source, e.Operation = value(m, attr.CausationID), value(m, attr.CausationSource), token(m.Subject, 4)
	if s.q.Source != "" && e.Source != "" && e.Source != s.q.Source {
		return
	}
	e.Resource, e.Entity, _ = strings.Cut(value(m, "subject"), "/")
	var r events.Result
	if json.Unmarshal(m.Event().Event.Data(), &r) != nil {
		r = events.Result{Outcome: events.Outcome(token(m.Subject, 5))}
	}
	e.Outcome, e.Status, e.Attempts = string(r.Outcome), r.Status, r.Attempts
	if r.Error != nil {
		e.Code = r.Error.Code
	}
	dry := value(m, attr.DryRun) == "true"
	if !dry {
		s.learnCommand(e)
	}
	if r.Outcome == events.Deferred {
		e.Step, e.Until = Waits, r.RetryAt
		e.Text = fmt.Sprintf("%s waits: %s", e.Operation, e.Code)
		if r.Error != nil && r.Error.Message != "" {
			e.Text += ", " + r.Error.Message
		}
		if r.RetryAt != nil {
			e.Text += "; until " + timetext.Stamp(*r.RetryAt)
		}
		s.add(e)
		return
	}
	e.Text = resultText(e, r)
	if dry {
		e.Text += " (dry run)"
	}
	again := redriveOf(value(m, "id"), e.Command)
	if again != "" {
		e.Letter = s.cloud + "/" + again
	}
	if r.FinishedAt != nil && !r.StartedAt.IsZero() {
		e.Millis = r.FinishedAt.Sub(r.StartedAt).Milliseconds()
	}
	if !r.StartedAt.IsZero() {
		s.begun(e, r.StartedAt, m)
	}
	s.add(e)
}

func resultText(e Entry, r events.Result) string {
	text := fmt.Sprintf("%s %s", e.Operation, e.Outcome)
	if r.Error != nil {
		text += fmt.Sprintf(": %s, %s", r.Error.Code, r.Error.Message)
	}
	if r.Adopted {
		text += "; the object was found at factro after an answer was lost"
	}
	if r.Existing {
		text += "; the object of the external key exists"
	}
	if e.Entity != "" {
		text += fmt.Sprintf("; %s %s", e.Resource, e.Entity)
	}
	return text
}

// redriveOf is the dead letter that was sent once more, by the id of a result.
func redriveOf(id, command string) string {
	_, rest, ok := strings.Cut(strings.TrimPrefix(id, command), ".redrive.")
	if !ok {
		return ""
	}
	sequence, _, _ := strings.Cut(rest, ".")
	return sequence
}

// begun adds when the bridge began with a command.
func (s *search) begun(of Entry, at time.Time, m history.Message) {
	e := Entry{
		Time: at.UTC(), Clock: OfBridge, Step: Begun, Cloud: s.cloud, Command: of.Command, Source: of.Source, Operation: of.Operation, Letter: of.Letter,
		Resource: of.Resource, Entity: of.Entity, Trace: of.Trace, Stream: of.Stream, Sequence: of.Sequence, Subject: of.Subject,
	}
	e.Text = "a bridge began with " + e.Operation
	if position := value(m, attr.CausationPosition); position != "" {
		e.Text += ", which was " + position
	}
	if e.Letter != "" {
		e.Text += ", after dead letter " + e.Letter + " was sent once more"
	}
	s.add(e)
}

// takeQueued takes a command that is in its queue, and takeDelayed one that waits for its time.
func (s *search) takeQueued(m history.Message) { s.takeWaiting(m, s.names.commands, Sent) }

func (s *search) takeDelayed(m history.Message) { s.takeWaiting(m, s.names.delayed, Delayed) }

func (s *search) takeWaiting(m history.Message, stream, step string) {
	e := s.entry(step, stream, m)
	cmd := s.commandOf(m)
	e.Command, e.Source, e.Operation, e.Resource = cmd.Event.ID(), cmd.Source(), cmd.Operation, cmd.Resource
	e.Text = e.Operation + " is in the queue"
	switch until, ok := moment(m.Value(topology.HeaderDelayedUntil)); {
	case ok && step == Delayed:
		e.Until, e.Text = &until, fmt.Sprintf("%s waits until %s", e.Operation, timetext.Stamp(until))
	case cmd.Redrive != "":
		e.Step, e.Letter = Redriven, s.cloud+"/"+cmd.Redrive
		e.Text += " once more, from dead letter " + e.Letter
	}
	s.learnCommand(e)
	s.add(e)
}

// takeDead takes a dead letter.
func (s *search) takeDead(m history.Message) {
	e := s.entry(Dead, s.names.dead, m)
	letter := deadletter.Read(s.prefix, m.Event())
	e.Time, e.Clock = letter.Died.UTC(), OfBridge
	e.Letter, e.Code, e.Status = letter.Name(), letter.Code, letter.Status
	if letter.Kind == deadletter.Webhook {
		e.Text = fmt.Sprintf("a webhook became dead letter %s: %s, %s", e.Letter, letter.Code, letter.Reason)
		s.add(e)
		return
	}
	e.Command, e.Operation, e.Resource, e.Attempts = letter.ID, letter.Operation, letter.Resource, len(letter.Attempts)
	e.Source = s.commandOf(m).Source()
	e.Text = fmt.Sprintf("%s became dead letter %s: %s, %s", e.Operation, e.Letter, letter.Code, letter.Reason)
	s.learnCommand(e)
	if at := letter.Stored(); !at.IsZero() {
		sent := e
		sent.Time, sent.Clock, sent.Step, sent.Code, sent.Status, sent.Attempts = at, OfBroker, Sent, "", 0, 0
		sent.Text = fmt.Sprintf("%s was in the queue as %s", e.Operation, letter.Position)
		s.add(sent)
	}
	for i, a := range letter.Attempts {
		s.attempt(e, i, len(letter.Attempts), a)
	}
	s.add(e)
}

// commandOf reads the command that a message of a queue, or a dead letter, has.
func (s *search) commandOf(m history.Message) events.Command {
	switch subject := m.Value(topology.HeaderDelayedSubject); {
	case token(m.Subject, 1) == "dead":
		return deadletter.Read(s.prefix, m.Event()).Sent(s.prefix)
	case token(m.Subject, 1) == "delayed":
		cmd, _ := s.prefix.DecodeCommand(subject, m.Header, m.Data, s.names.delayed+":"+strconv.FormatUint(m.Sequence, 10))
		return cmd
	}
	cmd, _ := s.prefix.DecodeCommand(m.Subject, m.Header, m.Data, s.names.commands+":"+strconv.FormatUint(m.Sequence, 10))
	return cmd
}

// attempt adds a call of factro. The ledger and a dead letter tell the same of it.
func (s *search) attempt(of Entry, n, all int, a ledger.Attempt) {
	e := Entry{
		Time: a.At.UTC(), Clock: OfBridge, Step: Attempted, Cloud: s.cloud, Command: of.Command, Source: of.Source, Operation: of.Operation,
		Status: a.Status, Millis: int64(a.Millis), Trace: a.Trace,
	}
	e.Text = "factro did not answer"
	if a.Status != 0 {
		e.Text = fmt.Sprintf("factro answered %d", a.Status)
	}
	if a.Millis > 0 {
		e.Text += " after " + (time.Duration(a.Millis) * time.Millisecond).String()
	}
	if why := strings.TrimPrefix(a.Error, fmt.Sprintf("factro answered %d: ", a.Status)); why != "" {
		e.Text += ": " + why
	}
	if all > 1 {
		e.Text += fmt.Sprintf(" (%d of %d recorded)", n+1, all)
	}
	s.add(e)
}

// takeRecord takes what the ledger knows of a command.
func (s *search) takeRecord(c command, m history.Message, r ledger.Record) {
	stream := ledger.Stream(s.prefix, s.cloud)
	var result events.Result
	finished := len(r.Result) > 0 && json.Unmarshal(r.Result, &result) == nil
	e := s.entry(Begun, stream, m)
	e.Command, e.Source, e.Operation = c.id, c.source, cmp.Or(result.Operation, r.Operation)
	e.Trace = ""
	if result.Resource != nil {
		e.Resource, e.Entity = result.Resource.Type, result.Resource.ID
	}
	s.learnCommand(e)
	s.kind(KindCommand, c.id == s.q.ID)
	for i, a := range r.Log {
		s.attempt(e, i, len(r.Log), a)
	}
	if finished || r.StartedAt.IsZero() || r.NeverBegun() {
		return
	}
	e.Time, e.Clock, e.Attempts = r.StartedAt.UTC(), OfBridge, r.Attempts
	e.Text = fmt.Sprintf("a bridge began with %s, which has not ended; %s so far", cmp.Or(e.Operation, "the command"), plural.Of(r.Attempts, "call"))
	s.add(e)
}

// takeKey takes an entry of an external key.
func (s *search) takeKey(m history.Message, k keys.Entry) {
	e := s.entry(Reserved, keys.Stream(s.prefix, s.cloud), m)
	e.Key, e.Resource, e.Entity, e.Trace = k.Key, k.Kind, k.ID, ""
	e.Text = fmt.Sprintf("external key %q is that of the %s %s", k.Key, k.Kind, k.ID)
	if k.Owner != nil {
		e.Command, e.Source = k.Owner.ID, k.Owner.Source
		e.Text = fmt.Sprintf("external key %q is reserved by the command %s, %s", k.Key, k.Owner.ID, k.Owner.Position)
		s.learnCommand(e)
	} else if k.Nameless {
		e.Text = fmt.Sprintf("external key %q has an object whose id factro did not tell", k.Key)
	}
	if !k.Since.IsZero() {
		e.Time, e.Clock = k.Since.UTC(), OfBridge
	}
	s.add(e)
}
