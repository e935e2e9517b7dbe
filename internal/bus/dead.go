package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Kinds of dead letters.
const (
	DeadCommand = "command"
	DeadWebhook = "webhook"
)

// ErrNoLetter says that there is no dead letter of that sequence, any more or yet.
var ErrNoLetter = errors.New("there is no such dead letter")

// DeadLetter is a dead letter as it stands in its stream. What an older bridge did not write down is empty.
type DeadLetter struct {
	// Message is the letter itself: its own subject, all of its headers, the original's data.
	Message
	// Sequence is its place in its cloud's stream of dead letters. Cloud and sequence are what it is called by.
	Sequence uint64
	// Kind is DeadCommand or DeadWebhook.
	Kind string
	// Address is what the letter's subject says. Of a webhook it is the cloud only.
	events.Address
	// ID is the id of the command, by which the ledger and the results know it. Of a webhook it is empty.
	ID string
	// Code and Reason are why it was given up, Status is factro's HTTP status, or 0.
	Code, Reason string
	Status       int
	// Original is the subject of the original, Position its place in its stream, Deliveries how often it was delivered.
	Original, Position string
	Deliveries         int
	// Size is that of the original's data in bytes if only the beginning was kept, else 0.
	Size int
	// Partial tells that headers or data of the original are missing.
	Partial bool
	// Kept is the name of the original in the object store for originals if the letter holds only a part of it, else "".
	Kept string
	// Died is when it was given up.
	Died time.Time
	// Attempts is what became of each attempt, Parent the traceparent of the span in which it was given up.
	Attempts []Attempt
	Parent   string
	// Request is the header of the request that a webhook came with, as far as it was kept.
	Request http.Header
}

// Name is what the letter is called by: its cloud and its sequence there.
func (l DeadLetter) Name() string {
	return events.Token(l.Cloud) + "/" + strconv.FormatUint(l.Sequence, 10)
}

// newDeadLetter reads a letter. Nothing in it is believed: whatever is strange is left empty.
func newDeadLetter(p events.Prefix, sequence uint64, m Message) DeadLetter {
	why := func(name string) string {
		text := delivery.Header(m.Header).Get(name)
		if decoded, err := events.DecodeHeader(text); err == nil {
			return decoded
		}
		return text
	}
	number := func(name string) int {
		n, _ := strconv.Atoi(why(name))
		return n
	}
	l := DeadLetter{
		Message: m, Sequence: sequence, Code: why(headerDeadCode), Reason: why(headerDeadReason), Status: number(headerDeadStatus),
		Original: why(headerDeadSubject), Position: why(headerDeadPosition), Deliveries: number(headerDeadAttempts),
		Size: number(headerDeadCut), Kept: why(headerDeadOriginal), Parent: why(headerDeadTrace), Died: m.Time,
	}
	_, l.Partial = m.Header[headerDeadCut]
	if at, err := time.Parse(time.RFC3339Nano, why(headerDeadTime)); err == nil {
		l.Died = at
	}
	if json.Unmarshal([]byte(why(headerDeadLog)), &l.Attempts) != nil {
		l.Attempts = nil
	}
	if json.Unmarshal([]byte(why(headerDeadRequest)), &l.Request) != nil {
		l.Request = nil
	}
	tokens := strings.Split(strings.TrimPrefix(m.Subject, string(p)+".dead."), ".")
	l.Kind = tokens[0]
	for i, field := range []*string{&l.Cloud, &l.Resource, &l.Operation} {
		if i+1 < len(tokens) {
			*field = tokens[i+1]
		}
	}
	if l.Kind == DeadCommand && l.Code != CodeTerminated {
		l.ID = l.command(p).Event.ID()
	}
	return l
}

// command reads the original as the bridge did.
func (l DeadLetter) command(p events.Prefix) events.Command {
	subject := l.Original
	if subject == "" {
		subject = p.Command(l.Cloud, l.Resource, l.Operation)
	}
	c, _ := p.DecodeCommand(subject, l.OriginalHeader(), l.Data, l.Position)
	return c
}

// OriginalHeader returns the headers that the original came with, as far as they were kept.
func (l DeadLetter) OriginalHeader() nats.Header {
	h := maps.Clone(l.Header)
	maps.DeleteFunc(h, func(name string, _ []string) bool { // the letter's own, its message id included
		return strings.HasPrefix(name, headerDead) || ofBroker(name)
	})
	if h == nil {
		h = nats.Header{}
	}
	if id, ok := l.Header[headerDeadMessageID]; ok {
		h[events.HeaderMessageID] = id
	}
	return h
}

// Lost says whether the original's data is gone, so that the letter can only be read.
func (l DeadLetter) Lost() bool { return l.Kind == DeadCommand && l.Code == CodeTerminated }

// DeadFilter says which dead letters are meant. An empty field means all.
type DeadFilter struct {
	Kind, Cloud, Operation, Code string
	// ID is a command's.
	ID string
	// Since and Until bound when it was stored, in the broker's time.
	Since, Until time.Time
	// First and Last bound the sequence, both included.
	First, Last uint64
	// Limit is how many letters are wanted at most.
	Limit int
	// Progress is told how many are left to be looked at, unless it is nil.
	Progress *progress.Task
}

// subjects returns what the broker can choose by; the rest is chosen by matches.
func (f DeadFilter) subjects(p events.Prefix) []string {
	wild := func(s string) string {
		if s == "" || events.Token(s) != s {
			return events.Any
		}
		return s
	}
	command := string(p) + ".dead.command." + wild(f.Cloud) + ".*." + wild(f.Operation)
	webhook := string(p) + ".dead.webhook." + wild(f.Cloud)
	switch {
	case f.Kind == DeadWebhook:
		return []string{webhook}
	case f.Kind == DeadCommand, f.Operation != "", f.ID != "":
		return []string{command}
	}
	return []string{command, webhook}
}

func (f DeadFilter) matches(l DeadLetter) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	return same(f.Kind, l.Kind) && same(f.Cloud, l.Cloud) && same(f.Operation, l.Operation) && same(f.Code, l.Code) && same(f.ID, l.ID) &&
		(f.Until.IsZero() || !l.Time.After(f.Until)) && l.Sequence >= f.First
}

// deadBatch is how many letters are held at once. Each may be as large as a message can be.
const deadBatch = 16

// DeadLetters hands over the dead letters of a cloud, which the filter names, that are there now and that the filter means,
// the oldest first. It ends at the first error of each. What comes meanwhile is left out, so that a letter which each sends on, and which comes back as
// a new one, is not met again.
func (c *Client) DeadLetters(ctx context.Context, p events.Prefix, f DeadFilter, each func(DeadLetter) error) error {
	name := p.DeadStream(f.Cloud)
	stream, err := c.js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("stream %s: %w", name, err)
	}
	last := stream.CachedInfo().State.LastSeq
	if f.Last > 0 {
		last = min(last, f.Last)
	}
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: f.subjects(p), DeliverPolicy: jetstream.DeliverAllPolicy}
	switch {
	case f.First > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, f.First
	case !f.Since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &f.Since
	}
	consumer, err := c.js.OrderedConsumer(ctx, name, cfg)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	info := consumer.CachedInfo()
	if info == nil || info.NumPending == 0 {
		return nil
	}
	it, err := consumer.Messages(jetstream.PullMaxMessages(deadBatch))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	defer it.Stop()
	gone := false // whether nothing was left at the last look
	for left, wanted := info.NumPending, f.Limit; left > 0; {
		attempt, cancel := context.WithTimeout(ctx, AttemptTimeout)
		msg, err := it.Next(jetstream.NextContext(attempt))
		cancel()
		switch {
		case err == nil:
		case errors.Is(err, jetstream.ErrNoHeartbeat):
			continue
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded): // perhaps somebody else has deleted the rest
			if gone {
				return nil
			}
			info, err := consumer.Info(ctx)
			gone = err == nil && info.NumPending == 0 // what was on its way comes with the next look
			continue
		default:
			return fmt.Errorf("read stream %s: %w", name, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read stream %s: %w", name, err)
		}
		left = meta.NumPending
		f.Progress.Left(int64(min(left, math.MaxInt64)))
		if meta.Sequence.Stream > last || !f.Until.IsZero() && meta.Timestamp.After(f.Until) {
			return nil
		}
		l := newDeadLetter(p, meta.Sequence.Stream, NewMessage(msg.Subject(), msg.Headers(), msg.Data(), meta.Timestamp))
		if !f.matches(l) || !f.Since.IsZero() && l.Time.Before(f.Since) {
			continue
		}
		if err := each(l); err != nil {
			return err
		}
		if wanted--; wanted == 0 {
			return nil
		}
	}
	return nil
}

// LastLetter is the sequence of the newest dead letter of a cloud, 0 if there was none.
func (c *Client) LastLetter(ctx context.Context, p events.Prefix, cloud string) (uint64, error) {
	stream, err := c.js.Stream(ctx, p.DeadStream(cloud))
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", p.DeadStream(cloud), err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}

// DeadLetter returns one dead letter, or ErrNoLetter.
func (c *Client) DeadLetter(ctx context.Context, p events.Prefix, cloud string, sequence uint64) (DeadLetter, error) {
	stream := p.DeadStream(cloud)
	if _, err := c.js.Stream(ctx, stream); err != nil {
		return DeadLetter{}, fmt.Errorf("stream %s: %w", stream, err)
	}
	m, err := storedMsg(ctx, c.cfg, c.js, stream, sequence, "")
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return DeadLetter{}, fmt.Errorf("%s/%d: %w", cloud, sequence, ErrNoLetter)
	}
	if err != nil {
		return DeadLetter{}, fmt.Errorf("dead letter %s/%d: %w", cloud, sequence, err)
	}
	header := maps.Clone(m.Header)
	maps.DeleteFunc(header, func(name string, _ []string) bool { // what the broker adds to tell where it is from
		return ofBroker(name)
	})
	return newDeadLetter(p, sequence, NewMessage(m.Subject, header, m.Data, m.Time)), nil
}

// DropLetter deletes a dead letter. One that is gone already is no error.
func (c *Client) DropLetter(ctx context.Context, p events.Prefix, cloud string, sequence uint64) error {
	stream, err := c.js.Stream(ctx, p.DeadStream(cloud))
	if err == nil {
		err = stream.DeleteMsg(ctx, sequence)
	}
	if err != nil && !IsGone(err) {
		return fmt.Errorf("delete dead letter %s/%d: %w", cloud, sequence, err)
	}
	return nil
}
