package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/mirror/queue"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// Kinds of sweeps.
const (
	Snapshot = "snapshot" // reads all objects for the first time, or once more
	Verify   = "verify"   // compares all objects, and repairs what differs
	Diff     = "diff"     // compares all objects, and changes nothing
)

// sweeps reads all lists: for the first time, from time to time, and when somebody wants it.
func (s *session) sweeps(ctx context.Context) error {
	failures := 0
	for {
		kind, wait := s.nextSweep(time.Now())
		if kind == "" {
			timer := time.NewTimer(wait)
			select {
			case kind = <-s.wanted:
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if kind == "" {
				continue
			}
			s.update(func(p *Progress) { p.Sweep = &Sweep{Kind: kind, Started: time.Now().UTC()} })
		}
		err := s.sweep(ctx)
		switch {
		case err == nil:
			failures = 0
			continue
		case ctx.Err() != nil, errors.Is(err, errOver):
			return err
		}
		failures++
		again := backoff(failures, err)
		s.log.WarnContext(ctx, "lists could not be read for the mirror; it tries again", "cloud", s.cfg.Cloud, "in", again.String(), "error", err)
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// nextSweep is the sweep that is due, or how long there is none.
func (s *session) nextSweep(now time.Time) (kind string, wait time.Duration) {
	p := s.look()
	switch {
	case p.Sweep != nil:
		return p.Sweep.Kind, 0
	case p.Complete.IsZero():
		s.update(func(p *Progress) { p.Sweep = &Sweep{Kind: Snapshot, Started: now.UTC()} })
		return Snapshot, 0
	case s.cfg.Verify == 0:
		return "", time.Hour
	}
	last := p.Verified
	if last.IsZero() {
		last = p.Complete
	}
	if due := last.Add(s.cfg.Verify); now.Before(due) {
		return "", due.Sub(now)
	}
	s.update(func(p *Progress) { p.Sweep = &Sweep{Kind: Verify, Started: now.UTC()} })
	return Verify, 0
}

// sweep goes on with the sweep that is begun.
func (s *session) sweep(ctx context.Context) error {
	p := s.look()
	s.log.InfoContext(ctx, "the mirror reads all lists of a cloud", "cloud", s.cfg.Cloud, "kind", p.Sweep.Kind, "resource", p.Sweep.Resource)
	names := s.names()
	from := max(slices.Index(names, p.Sweep.Resource), 0)
	for _, resource := range names[from:] {
		if s.resources[resource].List.Name == "" {
			continue
		}
		s.update(func(p *Progress) {
			if p.Sweep.Resource != resource {
				p.Sweep.Resource, p.Sweep.Parent = resource, ""
			}
		})
		if err := s.sweepResource(ctx, s.resources[resource]); err != nil {
			return err
		}
	}
	now := time.Now().UTC()
	s.update(func(p *Progress) {
		p.Sweep.Ended, p.Sweep.ListsLeft, p.Sweep.Resource, p.Sweep.Parent = now, 0, "", ""
		if p.Sweep.Kind != Diff {
			p.Verified = now
			if p.Complete.IsZero() {
				p.Complete = now
			}
		}
		p.Last, p.Sweep = p.Sweep, nil
	})
	s.save(ctx)
	done := s.look().Last
	s.log.InfoContext(ctx, "the mirror has read all lists of a cloud", "cloud", s.cfg.Cloud, "kind", done.Kind, "objects", done.Objects, "lists", done.Lists,
		"differences", done.Differences, "took", done.Ended.Sub(done.Started).Round(time.Millisecond).String())
	return nil
}

// pass is a pass over all objects of a resource.
type pass struct {
	*session
	factro.Mirrored
	kind  string
	began time.Time
	whole bool // it has begun with the first list: what it does not see is not there
	seen  seen
	// thin says that elements of the list lack fields that an object has when it is read by itself, formKnown that this is certain.
	thin, formKnown bool
	// later are the objects that the list has not shown well enough: they are read when it has ended, since that takes its time.
	later []queue.Object
}

// sweepResource reads the lists of one resource. A snapshot goes on behind the last parent; the others begin again, since they also
// look for what is gone.
func (s *session) sweepResource(ctx context.Context, known factro.Mirrored) error {
	sweep := s.look().Sweep
	r := &pass{session: s, Mirrored: known, kind: sweep.Kind, began: time.Now(), whole: true}
	parents := []string{""}
	if known.Each != "" {
		var err error
		if parents, err = s.parents(ctx, known.Each); err != nil {
			return err
		}
		if sweep.Kind == Snapshot && sweep.Parent != "" {
			at, found := slices.BinarySearch(parents, sweep.Parent)
			if found {
				at++
			}
			r.whole, parents = at == 0, parents[at:]
		}
	}
	for n, parent := range parents {
		s.update(func(p *Progress) { p.Sweep.ListsLeft = len(parents) - n })
		if err := r.one(ctx, listOf(known, parent)); err != nil {
			return err
		}
		s.update(func(p *Progress) { p.Sweep.Parent = parent })
	}
	if known.All.Name != "" {
		s.update(func(p *Progress) { p.Sweep.ListsLeft = 1 })
		if err := r.one(ctx, list{known.All, map[string]string{}}); ctx.Err() != nil || errors.Is(err, errOver) {
			return err
		} else if err != nil {
			// It is large, and factro may never manage it. It matters only for objects without a parent.
			s.log.WarnContext(ctx, "the list of all objects could not be read; those without a parent are mirrored by their events only",
				"cloud", s.cfg.Cloud, "resource", known.Resource, "error", err)
		}
	}
	if r.whole {
		if err := r.missing(ctx); err != nil {
			return err
		}
	}
	// The next resource may need these as parents.
	return s.awaitWanted(ctx, 0)
}

// awaitWanted waits until no more than so many objects wait to be read for a sweep.
func (s *session) awaitWanted(ctx context.Context, most int) error {
	for {
		changed := s.queue.Changed()
		if s.queue.Wanted() <= most {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// parents are the ids of the mirrored objects of a resource, sorted.
func (s *session) parents(ctx context.Context, resource string) ([]string, error) {
	var ids []string
	if _, mirrored := s.resources[resource]; !mirrored {
		return nil, &failure{why: fmt.Sprintf("the lists of one %[1]s each are needed, but %[1]s is not among mirror.resources", resource)}
	}
	err := s.parts.Store.Each(ctx, resource, func(id string, _ time.Time) { ids = append(ids, id) })
	slices.Sort(ids)
	return ids, err
}

// pace waits so long that the lists take no more than their share of the budget.
func (s *session) pace(ctx context.Context) error {
	perSecond, _ := s.parts.API.Pace()
	if perSecond <= 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(float64(time.Second) / (perSecond * s.cfg.Share)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// one reads one list and applies its elements, and waits for the next request.
func (r *pass) one(ctx context.Context, l list) error {
	if err := r.list(ctx, l); err != nil {
		return err
	}
	r.update(func(p *Progress) { p.Sweep.Lists++ })
	return r.pace(ctx)
}

func (r *pass) list(ctx context.Context, l list) error {
	if some, err := r.learnForm(ctx, l); err != nil || !some {
		return err
	}
	err := r.compare(ctx, l)
	for _, o := range r.later { // also if it has failed: what it has shown was true
		if ctx.Err() != nil {
			break
		}
		if err := r.want(ctx, o); err != nil {
			return err
		}
	}
	r.later = nil
	return err
}

func (r *pass) compare(ctx context.Context, l list) error {
	listing := r.queue.List()
	defer listing.End()
	return r.elements(ctx, l, func(began time.Time, id string, text []byte) error {
		return r.element(ctx, listing, began, id, text)
	})
}

// missing has the objects be read that no list has shown.
func (r *pass) missing(ctx context.Context) error {
	var lost []string
	err := r.parts.Store.Each(ctx, r.Resource, func(id string, read time.Time) {
		if !r.seen.has(id) && read.Before(r.began) {
			lost = append(lost, id)
		}
	})
	if err != nil {
		return err
	}
	for _, id := range lost {
		r.differs(id)
		if r.kind == Diff {
			continue
		}
		if err := r.want(ctx, queue.Object{Resource: r.Resource, ID: id}); err != nil {
			return err
		}
	}
	return nil
}

// want has an object be read by itself, at the pace of the lists.
func (r *pass) want(ctx context.Context, o queue.Object) error {
	r.queue.Want(o, time.Now())
	if err := r.pace(ctx); err != nil {
		return err
	}
	return r.awaitWanted(ctx, readers)
}

// differs counts an object that differs.
func (r *pass) differs(id string) {
	r.update(func(p *Progress) {
		p.Sweep.Differences++
		if len(p.Sweep.Examples) < mostExamples {
			p.Sweep.Examples = append(slices.Clip(p.Sweep.Examples), r.Resource+" "+id)
		}
	})
}

// origin is why the objects of a sweep are read.
func (r *pass) origin() string {
	if r.look().Complete.IsZero() {
		return change.OriginSnapshot
	}
	return change.OriginVerify
}
