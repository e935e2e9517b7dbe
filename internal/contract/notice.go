package contract

import (
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/notice"
)

// noticeKinds are the events by which a bridge reports that something about it changed, in their order.
var noticeKinds = []struct{ what, title, summary string }{
	{notice.Opened, "factro fails", "factro counts as failing for this bridge, which calls it no more but to see whether it is well again."},
	{notice.Closed, "factro is well again", "factro answered this bridge again, and what has waited goes on."},
	{notice.Paused, "Paused", "An operator has paused a part of the work of all bridges."},
	{notice.Resumed, "Resumed", "An operator has resumed what was paused."},
	{notice.KeyRefused, "API key refused", "factro does not accept the API key of this bridge, or it has none; what is for factro waits."},
	{notice.KeyAccepted, "API key accepted", "factro accepts the API key of this bridge again."},
	{notice.Takeover, "Takeover", "A bridge works on a cloud on which another bridge worked before."},
}

// notices describes what the bridge reports of itself, in a stream of its own.
func (d *document) notices() error {
	if d.resource != "" && d.resource != events.ResourceBridge {
		return nil
	}
	for _, kind := range noticeKinds {
		name := "bridge." + kind.what
		e, err := translate.Notice(kind.what, kind.what+".0198f2a5", ExampleNotice(kind.what), ExampleTime)
		if err != nil {
			return fmt.Errorf("example of %s: %w", kind.what, err)
		}
		s, err := sampleOf(d.prefix.Notice(ExampleCloud, kind.what), e)
		if err != nil {
			return fmt.Errorf("example of %s: %w", kind.what, err)
		}
		d.message(name, ordered.Object{
			{"name", notice.TypePrefix + kind.what},
			{"title", kind.title},
			{"summary", kind.summary},
			{"contentType", "application/json"},
			{"headers", noticeHeaders(kind.what)},
			{"payload", reference(componentsPrefix + "Notice")},
			{"examples", ordered.List{s.example(kind.title)}},
		})
		d.channel(name, d.prefix.Notice("cloud", kind.what), kind.title, d.streams[6], parameters("cloud"))
		d.operation(name, "send", ordered.Object{{"summary", kind.summary}})
	}
	return nil
}

// noticeHeaders are the attributes of such an event, which has fewer than one of factro's.
func noticeHeaders(what string) ordered.Object {
	text := func(doc string) ordered.Object { return ordered.Object{{"type", "string"}, {"description", doc}} }
	return ordered.Object{
		{"type", "object"},
		{"description", encoding},
		{"required", ordered.List{"ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-" + attr.Cloud}},
		{"properties", ordered.Object{
			{"ce-specversion", ordered.Object{{"const", "1.0"}}},
			{"ce-id", text("Of a pause the same from all bridges.")},
			{"ce-source", text("urn:factro:bridge:<cloud>.")},
			{"ce-type", ordered.Object{{"const", notice.TypePrefix + what}}},
			{"ce-time", text("When the bridge saw it.")},
			{"ce-" + attr.Cloud, text("The cloud's name.")},
		}},
	}
}

// ExampleNotice is the data of such an event to show.
func ExampleNotice(what string) notice.Notice {
	since, next := ExampleTime.Add(-time.Minute), ExampleTime.Add(15*time.Second)
	n := notice.Notice{Cloud: ExampleCloud, Bridge: "bridge-1/1", Since: &since}
	switch what {
	case notice.Opened:
		n.Since, n.Cause, n.NextAttempt = &ExampleTime, "factro answered 503", &next
	case notice.KeyRefused:
		n.Since, n.Cause, n.NextAttempt = &ExampleTime, "factro does not accept the API key; an operator has to renew it", &next
	case notice.Paused, notice.Resumed:
		n.Direction, n.Who, n.Why = "commands", "anna@ops", "import at factro until 14:00"
	case notice.Takeover:
		n.Since, n.Work, n.From, n.To, n.Silent = nil, "commands", "bridge-2-k3v7q2ma", "bridge-1-x5c2nq7d", true
	}
	return n
}
