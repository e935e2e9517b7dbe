package purge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/waiting"
	"github.com/factro-bridge/factro-bridge/internal/externalkey"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/policy"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Request says which commands are taken out.
type Request struct {
	Cloud string
	// Operation and Source are patterns in which * stands for any text; "" matches everything.
	Operation, Source string
	// Before is the time before that they were stored, if it is not zero.
	Before time.Time
	// Who and Why are for the dead letters and the senders.
	Who, Why string
	// DryRun changes nothing.
	DryRun   bool
	Progress *progress.Task
}

// Taken is a command that was taken out, or would be.
type Taken struct {
	Position  string    `json:"position"`
	ID        string    `json:"id"`
	Source    string    `json:"source,omitempty"`
	Operation string    `json:"operation"`
	Stored    time.Time `json:"stored"`
}

// Report is what was done.
type Report struct {
	Cloud  string  `json:"cloud"`
	DryRun bool    `json:"dryRun,omitempty"`
	Purged int     `json:"purged"`
	Taken  []Taken `json:"commands"`
	// Begun, Finished and Trial count commands that match and were left alone: a bridge has begun them, or they repeat commands that
	// are finished, or they call nothing, as dry runs and invalid commands.
	Begun    int `json:"begun"`
	Finished int `json:"finished"`
	Trial    int `json:"callNothing"`
}

// Ledger is the ledger of commands.
type Ledger interface {
	Begin(ctx context.Context, cloud, commandID string, r ledger.Record) (known bool, _ ledger.Record, _ error)
	LookFormer(ctx context.Context, cloud, id string) (known bool, _ ledger.Record, _ error)
	Save(ctx context.Context, cloud, commandID string, r ledger.Record) (ledger.Record, error)
}

// Results publishes results.
type Results interface {
	Publish(ctx context.Context, subject string, e event.Event, id string) error
}

// Purge is a purge of a cloud's queue.
type Purge struct {
	Prefix  events.Prefix
	Queue   *waiting.Queue
	Ledger  Ledger
	Letters waiting.Letters
	Results Results
}

// Run takes out what is there now and matches.
func (p *Purge) Run(ctx context.Context, r Request) (Report, error) {
	report := Report{Cloud: r.Cloud, DryRun: r.DryRun, Taken: []Taken{}}
	last, count, err := p.Queue.Last(ctx)
	if err != nil {
		return report, err
	}
	r.Progress.Begin("read the queue", "command", int64(min(count, 1<<40)))
	err = p.Queue.Each(ctx, last, func(c waiting.Command) error {
		defer r.Progress.Add(1)
		if !r.matches(c) {
			return nil
		}
		return p.one(ctx, r, c, &report)
	})
	return report, err
}

func (r Request) matches(c waiting.Command) bool {
	return (r.Operation == "" || policy.Matches(r.Operation, c.Operation)) &&
		(r.Source == "" || policy.Matches(r.Source, c.Source())) &&
		(r.Before.IsZero() || c.Stored.Before(r.Before))
}

// one takes one command out.
func (p *Purge) one(ctx context.Context, r Request, c waiting.Command, report *Report) error {
	c.Cloud = r.Cloud
	op, known := factro.Lookup(c.Operation)
	key, wrong := externalkey.Read(c.Event)
	fingerprint, err := key.Fingerprint(c.Operation, c.Event.Data())
	if wrong != nil || c.Mistake != nil || !known || !op.Writes() || err != nil || isDryRun(c) {
		report.Trial++
		return nil //nolint:nilerr // the bridge rejects it by itself
	}
	taken := Taken{Position: c.Position, ID: c.Event.ID(), Source: c.Source(), Operation: c.Operation, Stored: c.Stored}
	if r.DryRun {
		report.Taken = append(report.Taken, taken)
		return nil
	}
	now := time.Now().UTC()
	reason := &events.Error{Code: events.CodePurged, Message: fmt.Sprintf("%s has taken it out of the queue: %s", r.Who, r.Why)}
	result := events.Result{
		Operation: c.Operation, Outcome: events.Rejected, StartedAt: now, FinishedAt: &now, Error: reason,
		CommandDigest: identity.CommandDigest(c.Event.Data()), Resource: &events.Resource{Type: op.Resource},
	}
	switch claimed, finished, err := p.claim(ctx, c, fingerprint, result); {
	case err != nil:
		return err
	case finished:
		report.Finished++
		return nil
	case !claimed:
		report.Begun++
		return nil
	}
	if err := p.settle(ctx, c, result); err != nil {
		return fmt.Errorf("%s is claimed, and a bridge settles it when it comes to it: %w", c.Position, err)
	}
	report.Purged++
	report.Taken = append(report.Taken, taken)
	return nil
}

// claim writes into the ledger that the command is finished, unless a bridge has begun it or it was finished before.
func (p *Purge) claim(ctx context.Context, c waiting.Command, fingerprint string, result events.Result) (claimed, finished bool, err error) {
	data, err := json.Marshal(result)
	if err != nil {
		return false, false, err
	}
	if c.Source() != "" { // an older bridge knew it by its id alone
		if known, have, err := p.Ledger.LookFormer(ctx, c.Cloud, c.Event.ID()); err != nil || known && have.Fingerprint == fingerprint {
			return false, known && have.Result != nil, err
		}
	}
	record := ledger.Record{
		Fingerprint: fingerprint, Plain: c.Source() == "", StartedAt: result.StartedAt, CalledAt: result.StartedAt, Open: true,
		Redrive: c.Redrive, Result: data,
	}
	known, have, err := p.Ledger.Begin(ctx, c.Cloud, c.Identity(), record)
	switch {
	case err != nil || !known:
		return err == nil, false, err
	case have.Result == nil && (!have.NeverBegun() || have.Fingerprint != fingerprint):
		return false, false, nil
	case have.Result == nil: // it was delayed, and is due
	case c.Redrive == "" || c.Redrive == have.Redrive || have.Fingerprint != fingerprint || isApplied(have):
		return false, true, nil
	}
	// Nobody has begun it, or an operator has sent it once more and nobody has begun it again.
	have.Result, have.Redrive = data, c.Redrive
	_, err = p.Ledger.Save(ctx, c.Cloud, c.Identity(), have)
	if errors.Is(err, ledger.ErrTaken) {
		return false, false, nil
	}
	return err == nil, false, err
}

func isApplied(have ledger.Record) bool {
	var r events.Result
	return json.Unmarshal(have.Result, &r) != nil || r.Outcome == events.Applied
}

func isDryRun(c waiting.Command) bool {
	v, is := c.Event.Extensions()[attr.DryRun]
	if !is {
		return false
	}
	dry, err := types.ToBool(v)
	return err != nil || dry
}

// settle stores the dead letter and the result of a command, as a bridge would, and takes it out of the queue.
func (p *Purge) settle(ctx context.Context, c waiting.Command, r events.Result) error {
	subject := p.Prefix.DeadCommand(c.Cloud, c.Resource, c.Operation)
	if err := c.GiveUp(ctx, p.Letters, subject, events.CodePurged, errors.New(r.Error.Message)); err != nil {
		return err
	}
	variant := "." + c.Position // as of every rejection before a call
	if c.Redrive != "" {
		variant = ".redrive." + c.Redrive + variant
	}
	e, err := translate.Result(c.Command, r, variant, time.Now())
	if err != nil {
		return err
	}
	if err := p.Results.Publish(ctx, p.Prefix.Result(c.Cloud, c.Resource, c.Operation, r.Outcome), e, c.Cloud+"."+e.ID()); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	return p.Queue.Remove(ctx, c)
}
