package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/bus/inspect"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/plural"
)

// visible are the streams that could be looked at, and a finding about the others.
func (s *session) visible() (seen []inspect.Stream, found []Finding) {
	if f, not := s.without(); not {
		return nil, []Finding{f}
	}
	var hidden []string
	var why error
	for _, stream := range s.facts().Streams {
		if stream.Err != nil {
			hidden, why = append(hidden, stream.Name), stream.Err
			continue
		}
		seen = append(seen, stream)
	}
	if len(hidden) > 0 {
		found = append(found, Finding{
			Level: Unknown, What: fmt.Sprintf("%s cannot be looked at (%s): %v", plural.Of(len(hidden), "stream"), strings.Join(hidden, ", "), why),
			Fix: s.command("doctor --check nats --context OWNER") + "   # a user that may look at all streams",
		})
	}
	return seen, found
}

// differences are those of some sorts, with what to make of each.
func (s *session) differences(judge func(inspect.Stream, ensure.Difference) (Finding, bool)) []Finding {
	seen, found := s.visible()
	for _, stream := range seen {
		for _, d := range stream.Differences {
			if f, is := judge(stream, d); is {
				f.Cloud, f.About = d.Cloud, d.Stream
				found = append(found, f)
			}
		}
	}
	return found
}

// severe is a warning if a bridge puts it right by itself.
func (s *session) severe() Level {
	if s.Checked.NATS.Manage {
		return Warning
	}
	return Problem
}

func checkStreams(_ context.Context, s *session) []Finding {
	return s.differences(func(stream inspect.Stream, d ensure.Difference) (Finding, bool) {
		switch d.Sort {
		case ensure.Missing:
			f := Finding{Level: s.severe(), What: "the stream is missing; a bridge with nats.manage: true makes it when it starts", Fix: s.command("streams diff")}
			if stream.Kind == topology.Advisories || stream.Kind == topology.Delayed || stream.Kind == topology.Bridge {
				f.Level = Warning // the work goes on without it
			}
			return f, true
		case ensure.Differs:
			return Finding{Level: Warning, What: d.What, Fix: "nats stream info " + d.Stream}, true
		case ensure.Unusable:
			return Finding{Level: Problem, What: "the stream " + d.What, Fix: "nats stream info " + d.Stream}, true
		case ensure.Taken, ensure.Ahead:
		}
		return Finding{}, false
	})
}

func checkSubjects(_ context.Context, s *session) []Finding {
	return s.differences(func(_ inspect.Stream, d ensure.Difference) (Finding, bool) {
		return Finding{Level: Problem, What: d.What, Fix: "nats stream ls --subject '" + s.Checked.NATS.Prefix + ".>'"}, d.Sort == ensure.Taken
	})
}

func checkConsumers(_ context.Context, s *session) []Finding {
	seen, _ := s.visible()
	var hidden []Finding
	for _, stream := range seen {
		if stream.ConsumersErr != nil && len(hidden) == 0 {
			hidden = append(hidden, unknown("the consumers of %s, and perhaps of more streams, cannot be looked at: %v", stream.Name, stream.ConsumersErr))
		}
	}
	return append(hidden, s.differences(func(_ inspect.Stream, d ensure.Difference) (Finding, bool) {
		return Finding{Level: s.severe(), What: d.What, Fix: fmt.Sprintf("nats consumer rm %s %s", d.Stream, d.Consumer)}, d.Sort == ensure.Ahead
	})...)
}

// buckets have a window of their own, since their writers name the revision that they replace.
func isBucket(k topology.Kind) bool {
	switch k {
	case topology.Ledger, topology.Keys, topology.State, topology.Files, topology.Answers, topology.Originals, topology.Control, topology.Reconcile:
		return true
	case topology.Events, topology.Commands, topology.Results, topology.Dead, topology.Delayed, topology.Changes, topology.Advisories, topology.Bridge:
	}
	return false
}

func checkDuplicates(_ context.Context, s *session) []Finding {
	const least = topology.DefaultDuplicateWindow
	seen, found := s.visible()
	if w := s.Checked.NATS.DuplicateWindow; w < least {
		found = append(found, Finding{
			Level: Warning, About: "nats.duplicate_window", What: fmt.Sprintf("new streams recognise repeated messages for %s; senders repeat them for up to %s", w, least),
			Fix: "nats: {duplicate_window: " + text(least) + "}",
		})
	}
	for _, stream := range seen {
		if stream.Found && !isBucket(stream.Kind) && stream.Duplicates < least {
			found = append(found, Finding{
				Level: Warning, Cloud: stream.Cloud, About: stream.Name,
				What: fmt.Sprintf("the stream recognises repeated messages for %s; senders repeat them for up to %s", stream.Duplicates, least),
				Fix:  fmt.Sprintf("nats stream edit %s --dupe-window %s --force", stream.Name, text(least)),
			})
		}
	}
	return found
}

// text is a duration in full minutes, as in the documents.
func text(d time.Duration) string { return fmt.Sprintf("%.0fm", d.Minutes()) }

func checkReplicas(_ context.Context, s *session) []Finding {
	seen, found := s.visible()
	cluster := s.facts().Server.Cluster
	if cluster == "" && len(found) == 0 {
		return fine("the server is no cluster, so there is one copy of each stream")
	}
	for _, stream := range seen {
		if stream.Found && cluster != "" && stream.Replicas < 2 {
			found = append(found, Finding{
				Level: Warning, Cloud: stream.Cloud, About: stream.Name, What: fmt.Sprintf("one server of the cluster %s holds the stream", cluster),
				Fix: fmt.Sprintf("nats stream edit %s --replicas 3 --force", stream.Name),
			})
		}
	}
	if n := s.Checked.NATS.Replicas; cluster != "" && n < 2 {
		found = append(found, Finding{
			Level: Warning, About: "nats.replicas", What: fmt.Sprintf("it is %d, and the server belongs to the cluster %s", n, cluster), Fix: "nats: {replicas: 3}",
		})
	}
	return found
}
