package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Parked is what is to be published about a command that is settled, as it lies in the object store for originals.
type Parked struct {
	// DeadLetter tells of the command. Of one without a letter it is what its result says; then Code is the outcome, if the
	// result has no error. It has no sequence: it is in no stream yet. Its time is that of the parking.
	DeadLetter
	// Object is the name in the object store, Bucket that of the store.
	Bucket, Object string
	// Outcome is that of the result that is parked, or "" if none is.
	Outcome events.Outcome
	// Letter says whether a dead letter is parked.
	Letter bool
	// Broken is why the object cannot be read, or nil. A bridge leaves such an object where it is.
	Broken error
}

// ParkedClouds returns the clouds that have an object store for originals. A stream of dead letters may be what is missing.
func (c *Client) ParkedClouds(ctx context.Context, p events.Prefix) ([]string, error) {
	return c.cloudsBy(ctx, "OBJ_"+p.OriginalBucket(""))
}

// Parked hands over what is parked of a cloud, which the filter names, and which the filter means, the oldest first. What a
// bridge publishes meanwhile is left out.
func (c *Client) Parked(ctx context.Context, p events.Prefix, f DeadFilter, each func(Parked) error) error {
	bucket := p.OriginalBucket(f.Cloud)
	store, err := c.js.ObjectStore(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return fmt.Errorf("object store %s: it does not exist, so nothing can be parked in it", bucket)
	}
	if err != nil {
		return fmt.Errorf("object store %s: %w", bucket, err)
	}
	names, err := pendingNames(ctx, store)
	if err != nil {
		return fmt.Errorf("object store %s: %w", bucket, err)
	}
	for left := f.Limit; len(names) > 0; names = names[1:] {
		one, err := readParked(ctx, p, store, f.Cloud, names[0])
		switch {
		case errors.Is(err, ErrNoFile):
			continue
		case err != nil:
			return err
		case !f.matches(one.DeadLetter), !f.Since.IsZero() && one.Time.Before(f.Since):
			continue
		}
		if err := each(one); err != nil {
			return err
		}
		if left--; left == 0 {
			return nil
		}
	}
	return nil
}

// readParked reads one object. What cannot be understood is told in Broken.
func readParked(ctx context.Context, p events.Prefix, store jetstream.ObjectStore, cloud, name string) (Parked, error) {
	bucket := p.OriginalBucket(cloud)
	info, err := store.GetInfo(ctx, name)
	if err != nil {
		return Parked{}, fileError(bucket, err)
	}
	one := Parked{Bucket: bucket, Object: name}
	all, err := fetch(ctx, store, bucket, name)
	if errors.Is(err, errPacked) {
		one.Broken = err
	} else if err != nil {
		return Parked{}, err
	}
	for _, m := range all {
		switch kind := token(m.msg.Subject, 1); {
		case token(m.msg.Subject, 0) != string(p), kind != "dead" && kind != "result":
			one.Broken = errStrangeParked
		case kind == "dead":
			one.Letter = true
			one.DeadLetter = newDeadLetter(p, 0, newMessage(m.msg.Subject, m.msg.Header, m.msg.Data, info.ModTime))
		default:
			one.addResult(p, newMessage(m.msg.Subject, m.msg.Header, m.msg.Data, info.ModTime))
		}
	}
	one.Cloud, one.Time, one.Died = cmp.Or(one.Cloud, events.Token(cloud)), info.ModTime, cmp.Or(one.Died, info.ModTime)
	return one, nil
}

// errStrangeParked is said of an object that a bridge has not parked.
var errStrangeParked = fmt.Errorf("%w: its subject is none of a result or a dead letter", ErrRefused)

// addResult takes over what a result says of its command. A letter, which comes behind it, says more.
func (one *Parked) addResult(p events.Prefix, m Message) {
	at, err := p.ParseResult(m.Subject)
	if err != nil || m.Broken != nil {
		one.Broken = errors.Join(err, m.Broken)
		return
	}
	r, err := events.ResultOf(m.Event)
	if err != nil {
		one.Broken = err
	}
	one.Message, one.Kind, one.Address, one.Outcome = m, DeadCommand, at.Address, at.Outcome
	one.Code, one.Status, one.Died = string(at.Outcome), r.Status, time.Time{}
	if r.Error != nil {
		one.Code, one.Reason = r.Error.Code, r.Error.Message
	}
	one.ID, _ = m.Event.Extensions()[events.ExtCausationID].(string)
	one.Position, _ = m.Event.Extensions()[events.ExtCausationPosition].(string)
}
