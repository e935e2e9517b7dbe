package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/factro-bridge/factro-bridge/internal/bus/state"
	"github.com/factro-bridge/factro-bridge/internal/diff"
	"github.com/factro-bridge/factro-bridge/internal/mirror/queue"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// Outcomes of a reading.
const (
	changed   = "changed"   // a change was published
	stored    = "stored"    // the entry was written, without a change
	unchanged = "unchanged" // nothing was written
	unknown   = "unknown"   // nothing shows the object: only the list of its parent does, and its parent is not known
)

// applyAttempts is how often the state is looked at again after somebody else has written it.
const applyAttempts = 5

// apply brings the state of an object up to what factro has answered, and publishes the change. Without announce a new object is no
// change as long as the first snapshot goes on.
func (s *session) apply(ctx context.Context, w queue.Work, f fetched, origin string, announce bool) (outcome string, err error) {
	defer s.parentage.forget(w.Object)
	if drop := s.cfg.Drop[w.Resource]; f.status == 0 && len(drop) > 0 {
		whole := f.text
		if f.text, err = diff.Without(whole, drop); err != nil {
			return "", &failure{why: err.Error()}
		}
		f.dropped = !bytes.Equal(f.text, whole)
	}
	for range applyAttempts {
		outcome, err = s.applyOnce(ctx, w, f, origin, announce)
		if !errors.Is(err, state.ErrOvertaken) {
			return outcome, err
		}
	}
	return outcome, err
}

func (s *session) applyOnce(ctx context.Context, w queue.Work, f fetched, origin string, announce bool) (string, error) {
	if err := s.may(); err != nil {
		return "", err
	}
	k, err := s.parts.Store.Get(ctx, w.Resource, w.ID)
	if err == nil {
		k, err = s.parts.Store.Settle(ctx, k)
	}
	if err != nil {
		return "", err
	}
	for _, name := range s.cfg.Drop[w.Resource] { // also if it was not dropped before
		delete(k.Object, name)
	}
	var next diff.Object
	if f.status == 0 {
		if next, err = diff.Parse(f.text); err != nil {
			return "", &failure{why: err.Error()}
		}
	}
	var noise []string
	if k.Object != nil && next != nil { // else all of it is new, or goes
		noise = s.resources[w.Resource].Noise
	}
	d := diff.Between(k.Object, next, noise)
	reading := state.Reading{At: f.began, Origin: origin, Causes: ids(w.Causes), Dropped: f.dropped}
	var sequence uint64
	switch {
	case f.status != 0 && k.Object == nil && (k.Revision == 0 || k.Status == f.status):
		return unchanged, nil // it is not there, as before
	case f.status == 0 && k.Object != nil && bytes.Equal(k.Text, f.text) && k.Dropped == f.dropped:
		s.commands.Seen(w.Resource, w.ID, f.began)
		return unchanged, nil
	case k.Object == nil && next == nil, k.Object != nil && next != nil && d.None():
		// only noise, whether fields are missing, or why it is gone
	case k.Revision == 0 && !s.announced(w, announce):
		// it was there before, but nobody knew
	default:
		if sequence, err = s.publish(ctx, k, w, f, d, next, reading); err != nil {
			return "", err
		}
	}
	if next == nil {
		err = s.parts.Store.Remove(ctx, k, f.status, reading, sequence)
	} else {
		err = s.parts.Store.Write(ctx, k, f.text, reading, sequence)
	}
	if err != nil {
		return "", err
	}
	if sequence == 0 {
		return stored, nil
	}
	if moves := s.resources[w.Resource].Moves; k.Object == nil || next == nil || slices.ContainsFunc(d.Changed, func(name string) bool { return slices.Contains(moves, name) }) {
		s.touch(ctx, w, k.Object, next)
	}
	return changed, nil
}

// announced says whether an object that has no entry is new, or was only not known until now.
func (s *session) announced(w queue.Work, announce bool) bool {
	if !s.look().Complete.IsZero() {
		return true
	}
	for _, c := range w.Causes {
		if announce && strings.HasSuffix(c.Action, "Created") {
			return true
		}
	}
	return false
}

// payload is the data of a change.
type payload struct {
	diff.Difference
	Status int `json:"status,omitempty"`
}

// publish publishes what has changed of an object.
func (s *session) publish(ctx context.Context, k state.Known, w queue.Work, f fetched, d diff.Difference, next diff.Object, r state.Reading) (uint64, error) {
	what, now := change.Updated, string(f.text)
	switch {
	case next == nil:
		what, now = change.Deleted, strconv.Itoa(f.status)
	case k.Object == nil:
		what = change.Created
	}
	if s.cfg.Whole {
		d.Before, d.After = orNone(k.Object), orNone(next)
	}
	data, err := json.Marshal(payload{d, f.status})
	if err != nil {
		return 0, fmt.Errorf("mirror: a change: %w", err)
	}
	digest := sha256.Sum256([]byte(now))
	attributes := &event.EventContextV1{
		ID:     fmt.Sprintf("%s.%s.%s.%d.%s", s.cfg.Cloud, w.Resource, w.ID, k.Revision, hex.EncodeToString(digest[:8])),
		Source: *types.ParseURIRef(s.cfg.Source), Type: change.TypePrefix + w.Resource + "." + what, Subject: &w.ID,
		Time: &types.Timestamp{Time: r.At.UTC()}, DataContentType: &jsonType,
		Extensions: map[string]any{attr.Cloud: s.cfg.Cloud},
	}
	if len(r.Causes) > 0 {
		attributes.Extensions[attr.CausationID] = state.Causes(r.Causes)
	}
	if r.Origin == change.OriginVerify {
		attributes.Extensions[attr.Origin] = change.OriginVerify
	}
	s.mark(k, next, d, f, attributes.Extensions)
	if err := s.may(); err != nil {
		return 0, err
	}
	sequence, err := s.parts.Store.Publish(ctx, k, what, s.cfg.Whole, event.Event{Context: attributes, DataEncoded: data})
	if err == nil {
		s.metrics.change(ctx, w.Resource, what, r)
	}
	return sequence, err
}

var jsonType = event.ApplicationJSON

func orNone(o diff.Object) diff.Object {
	if o == nil {
		return diff.Object{}
	}
	return o
}

// touch has the objects be read whose computed values a change may move.
func (s *session) touch(ctx context.Context, w queue.Work, before, after diff.Object) {
	for _, t := range s.resources[w.Resource].Touches {
		for _, o := range []diff.Object{before, after} {
			kind := t.Kind
			if t.KindIn != "" {
				kind = text(o[t.KindIn])
			}
			id := text(o[t.Field])
			if _, mirrored := s.resources[kind]; !mirrored || !named(id) {
				continue
			}
			touched := queue.Object{Resource: kind, ID: id}
			for _, c := range w.Causes {
				c.Sequence, c.Certain, c.Early = 0, time.Time{}, false
				_ = s.queue.Add(ctx, touched, c, time.Now().Add(s.cfg.Settle)) // it never waits: it has no place in the stream
			}
			if len(w.Causes) == 0 {
				s.queue.Want(touched, time.Now().Add(s.cfg.Settle))
			}
		}
	}
}

func text(value json.RawMessage) string {
	var t string
	if json.Unmarshal(value, &t) != nil {
		return ""
	}
	return t
}

func ids(causes []queue.Cause) []string {
	all := make([]string, len(causes))
	for i, c := range causes {
		all[i] = c.ID
	}
	return all
}
