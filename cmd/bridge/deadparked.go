package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// listParked lists what the flags choose among what is parked.
func (f *deadFlags) listParked(ctx context.Context, out io.Writer, client *bus.Client, asJSON bool) error {
	switch {
	case f.seq != "":
		return usage("--seq: what is parked has no sequence yet; choose by --id or --since")
	case f.filter.Kind == bus.DeadWebhook:
		return usage("--kind: only what became of commands is parked, not webhooks")
	}
	p, clouds := events.Prefix(f.prefix), []string{f.cloud}
	if f.cloud == "" {
		var err error
		if clouds, err = client.ParkedClouds(ctx, p); err != nil {
			return err
		}
	}
	left := f.filter.Limit
	for _, cloud := range clouds {
		filter := f.filter
		filter.Cloud, filter.Limit = cloud, left
		err := client.Parked(ctx, p, filter, func(one bus.Parked) error {
			left--
			if asJSON {
				return printParkedJSON(out, one)
			}
			l := one.DeadLetter
			if one.Broken != nil {
				l.Reason = "cannot be published: " + one.Broken.Error()
			}
			return printNamedLine(out, events.Token(cloud)+"/parked", l)
		})
		if err != nil || f.filter.Limit > 0 && left <= 0 {
			return err
		}
	}
	return nil
}

// parkedJSON is what is parked about a command, for machines.
type parkedJSON struct {
	Parked    time.Time      `json:"parked"`
	Cloud     string         `json:"cloud"`
	Resource  string         `json:"resource,omitempty"`
	Operation string         `json:"operation,omitempty"`
	ID        string         `json:"id,omitempty"`
	Code      string         `json:"code,omitempty"`
	Status    int            `json:"status,omitempty"`
	Reason    string         `json:"reason,omitempty"`
	Position  string         `json:"position,omitempty"`
	Outcome   events.Outcome `json:"outcome,omitempty"` // of the result that is parked
	Letter    bool           `json:"letter"`            // whether a dead letter is parked
	Bucket    string         `json:"bucket"`
	Object    string         `json:"object"`
	Broken    string         `json:"broken,omitempty"` // why it is never published
}

// printParkedJSON prints what is parked about a command on one line.
func printParkedJSON(out io.Writer, one bus.Parked) error {
	j := parkedJSON{
		Parked: one.Time.UTC(), Cloud: one.Cloud, Resource: one.Resource, Operation: one.Operation, ID: one.ID, Code: one.Code, Status: one.Status,
		Reason: one.Reason, Position: one.Position, Outcome: one.Outcome, Letter: one.Letter, Bucket: one.Bucket, Object: one.Object,
	}
	if one.Broken != nil {
		j.Broken = one.Broken.Error()
	}
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, harmless(text))
	return err
}
