package deadletter

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Kinds of dead letters.
const (
	Command = "command"
	Webhook = "webhook"
)

// ErrNotFound says that there is no dead letter of that sequence, any more or yet.
var ErrNotFound = errors.New("there is no such dead letter")

// Entry is a dead letter as its stream holds it. Fields that an older bridge did not write are empty.
type Entry struct {
	// Message is the dead letter itself: its own subject, all of its headers, the original's data.
	journal.Message
	// Sequence is its position in its cloud's stream of dead letters. Cloud and sequence are its name.
	Sequence uint64
	// Kind is Command or Webhook.
	Kind string
	// Address is what its subject says. Of a webhook it is the cloud only.
	events.Address
	// ID is the id of the command, by which the ledger and the results know it. Of a webhook it is empty.
	ID string
	// Code and Reason are why it was given up, Status is factro's HTTP status, or 0.
	Code, Reason string
	Status       int
	// Original is the subject of the original, Position its position in its stream, Deliveries how often it was delivered.
	Original, Position string
	Deliveries         int
	// Size is that of the original's data in bytes if only the beginning was kept, else 0.
	Size int
	// Partial says that headers or data of the original are missing.
	Partial bool
	// Kept is the name of the original in the object store for originals if the dead letter holds only a part of it, else "".
	Kept string
	// Died is when it was given up.
	Died time.Time
	// Attempts is the outcome of each attempt, Parent the traceparent of the span in which it was given up.
	Attempts []ledger.Attempt
	Parent   string
	// Request is the header of the request that a webhook came with, as far as it was kept.
	Request http.Header
}

// Name is its cloud and its sequence there.
func (e Entry) Name() string {
	return events.Token(e.Cloud) + "/" + strconv.FormatUint(e.Sequence, 10)
}

// Read reads a message of the stream of dead letters.
func Read(p events.Prefix, m journal.Message) Entry { return newEntry(p, m.Sequence, m) }

// Stored is when the original was stored in its stream, by the id of the dead letter; zero if that does not tell.
func (e Entry) Stored() time.Time {
	id, err := percent.Decode(delivery.Header(e.Header).Get(events.HeaderMessageID))
	start, ofPosition := "dead-"+e.Position+"-", e.Position != ""
	if err != nil || !ofPosition || !strings.HasPrefix(id, start) {
		return time.Time{}
	}
	at, err := strconv.ParseInt(strings.TrimPrefix(id, start), 36, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(0, at).UTC()
}

// newEntry reads a dead letter. None of it is trusted: what is not as expected is left empty.
func newEntry(p events.Prefix, sequence uint64, m journal.Message) Entry {
	why := func(name string) string {
		text := delivery.Header(m.Header).Get(name)
		if decoded, err := percent.Decode(text); err == nil {
			return decoded
		}
		return text
	}
	number := func(name string) int {
		n, _ := strconv.Atoi(why(name))
		return n
	}
	e := Entry{
		Message: m, Sequence: sequence, Code: why(topology.HeaderDeadCode), Reason: why(topology.HeaderDeadReason), Status: number(topology.HeaderDeadStatus),
		Original: why(topology.HeaderDeadSubject), Position: why(topology.HeaderDeadPosition), Deliveries: number(topology.HeaderDeadAttempts),
		Size: number(topology.HeaderDeadCut), Kept: why(topology.HeaderDeadOriginal), Parent: why(topology.HeaderDeadTrace), Died: m.Time,
	}
	_, e.Partial = m.Header[topology.HeaderDeadCut]
	if at, err := time.Parse(time.RFC3339Nano, why(topology.HeaderDeadTime)); err == nil {
		e.Died = at
	}
	if json.Unmarshal([]byte(why(topology.HeaderDeadLog)), &e.Attempts) != nil {
		e.Attempts = nil
	}
	if json.Unmarshal([]byte(why(topology.HeaderDeadRequest)), &e.Request) != nil {
		e.Request = nil
	}
	tokens := strings.Split(strings.TrimPrefix(m.Subject, string(p)+".dead."), ".")
	e.Kind = tokens[0]
	for i, field := range []*string{&e.Cloud, &e.Resource, &e.Operation} {
		if i+1 < len(tokens) {
			*field = tokens[i+1]
		}
	}
	if e.Kind == Command && e.Code != CodeTerminated {
		e.ID = e.command(p).Event.ID()
	}
	return e
}

// command reads the original as the bridge did.
func (e Entry) command(p events.Prefix) events.Command {
	subject := e.Original
	if subject == "" {
		subject = p.Command(e.Cloud, e.Resource, e.Operation)
	}
	c, _ := p.DecodeCommand(subject, e.OriginalHeader(), e.Data, e.Position)
	return c
}

// Sent is the command as it was sent, as far as it was kept. Of one that was terminated nothing was.
func (e Entry) Sent(p events.Prefix) events.Command {
	if e.Kind != Command || e.Lost() {
		return events.Command{}
	}
	return e.command(p)
}

// OriginalHeader returns the headers that the original came with, as far as they were kept.
func (e Entry) OriginalHeader() nats.Header {
	h := maps.Clone(e.Header)
	maps.DeleteFunc(h, func(name string, _ []string) bool { // those of the dead letter, its message id included
		return strings.HasPrefix(name, topology.HeaderDead) || delivery.IsBrokerHeader(name)
	})
	if h == nil {
		h = nats.Header{}
	}
	if id, ok := e.Header[topology.HeaderDeadMessageID]; ok {
		h[events.HeaderMessageID] = id
	}
	return h
}

// Lost says whether the original's data is gone, so that the dead letter can only be read.
func (e Entry) Lost() bool { return e.Kind == Command && e.Code == CodeTerminated }
