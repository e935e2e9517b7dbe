package deadletter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter/pack"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Parked is a command that is settled, and whose result or dead letter waits in the object store until its stream takes it.
// Fields that cannot be read are empty.
type Parked struct {
	// Object is the name in the bucket for originals of the cloud.
	Object string
	// Since is when it was parked.
	Since time.Time
	events.Address
	// ID is the id of the command, Position its place in its stream.
	ID, Position string
	// Outcome is what the result says, "" if none is parked. Code, Reason and Status are why the command was given up.
	Outcome      events.Outcome
	Code, Reason string
	Status       int
	// Subjects are those on which it is to be published.
	Subjects []string
	// Broken is why the object cannot be read.
	Broken error
}

// ListParked passes what is parked of a cloud to each, the oldest first. It ends at the first error of each.
func ListParked(ctx context.Context, c Client, p events.Prefix, cloud string, each func(Parked) error) error {
	bucket := p.OriginalBucket(cloud)
	store, err := c.JetStream().ObjectStore(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil
	}
	var names []string
	if err == nil {
		names, err = pendingNames(ctx, store)
	}
	if err != nil {
		return fmt.Errorf("object store %s: %w", bucket, err)
	}
	for _, name := range names {
		all, err := fetch(ctx, store, bucket, name)
		switch {
		case errors.Is(err, objects.ErrNoFile): // published meanwhile
			continue
		case err != nil && !errors.Is(err, pack.ErrFormat):
			return fmt.Errorf("object store %s: %w", bucket, err)
		}
		if err := each(newParked(p, cloud, name, all, err)); err != nil {
			return err
		}
	}
	return nil
}

// parkedTime is the form of the time in an object's name.
const parkedTime = "20060102T150405.000000000"

// newParked reads what is parked under a name. None of it is trusted: what is not as expected is left empty.
func newParked(p events.Prefix, cloud, name string, all []PendingPublish, broken error) Parked {
	out := Parked{Object: name, Address: events.Address{Cloud: cloud}, Broken: broken}
	at, _, _ := strings.Cut(strings.TrimPrefix(name, pendingName), "/")
	out.Since, _ = time.Parse(parkedTime, at)
	for _, one := range all {
		out.Subjects = append(out.Subjects, one.Msg.Subject)
		m := journal.NewMessage(one.Msg.Subject, one.Msg.Header, one.Msg.Data, out.Since)
		switch topology.SubjectToken(one.Msg.Subject, 1) {
		case "dead":
			l := newEntry(p, 0, m)
			out.Resource, out.Operation = cmp.Or(l.Resource, out.Resource), cmp.Or(l.Operation, out.Operation)
			out.ID, out.Position = cmp.Or(l.ID, out.ID), cmp.Or(l.Position, out.Position)
			out.Code, out.Reason, out.Status = cmp.Or(l.Code, out.Code), cmp.Or(l.Reason, out.Reason), cmp.Or(l.Status, out.Status)
		case "result":
			out.addResult(p, m)
		}
	}
	return out
}

// addResult adds what a result says. A dead letter says more about the reason, and comes after it.
func (out *Parked) addResult(p events.Prefix, m journal.Message) {
	if a, err := p.ParseResult(m.Subject); err == nil {
		out.Resource, out.Operation, out.Outcome = a.Resource, a.Operation, a.Outcome
	}
	if m.Broken != nil {
		return
	}
	attribute := func(name string) string {
		text, _ := types.ToString(m.Event.Extensions()[name])
		return text
	}
	out.ID, out.Position = attribute(attr.CausationID), attribute(attr.CausationPosition)
	if r, err := events.ResultOf(m.Event); err == nil {
		if out.Status = r.Status; r.Error != nil {
			out.Code, out.Reason = r.Error.Code, r.Error.Message
		}
	}
}
