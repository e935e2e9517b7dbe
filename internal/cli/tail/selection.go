package tail

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// kind is a kind of messages that can be followed.
type kind struct {
	name    string
	stream  func(events.Prefix, string) string
	cloudAt int // where the cloud stands in the subjects
	// forms are the subjects behind the prefix. The tokens in braces are replaced.
	forms []string
}

// changes is the kind that only a mirror has.
const changes = "changes"

var kinds = []kind{
	{"events", events.Prefix.EventStream, 2, []string{"event.{cloud}.{resource}.{entity}.{action}"}},
	{"results", events.Prefix.ResultStream, 2, []string{"result.{cloud}.{resource}.{action}.*"}},
	{"dead", events.Prefix.DeadStream, 3, []string{"dead.command.{cloud}.{resource}.{action}", "dead.webhook.{cloud}"}},
	{changes, change.Stream, 2, []string{"change.{cloud}.{resource}.{entity}.{action}"}},
}

// kindNames are the names of all kinds.
func kindNames() (names []string) {
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// selection says which messages are printed.
type selection struct {
	filter                   string
	resource, action, entity string
	text                     string
	grep                     *regexp.Regexp
}

// check reads the flags. The error is one of usage.
func (s *selection) check() (err error) {
	if s.filter != "" && s.named() {
		return exit.Usage("--filter is a whole subject: use it without --resource, --action and --entity")
	}
	if s.grep, err = regexp.Compile(s.text); err != nil {
		return exit.Usage("--grep: %w", err)
	}
	return nil
}

// named says whether messages about something are wanted only.
func (s *selection) named() bool { return s.resource+s.action+s.entity != "" }

// subjects are the filters for a kind of messages of a cloud. What has no place in a subject is in the message.
func (s *selection) subjects(prefix, cloud string, k kind) (all []string) {
	if s.filter != "" {
		return []string{s.filter}
	}
	token := func(value string) string {
		if value == "" {
			return events.Any
		}
		return events.Token(value)
	}
	fill := strings.NewReplacer("{cloud}", cloud, "{resource}", token(s.resource), "{action}", token(s.action), "{entity}", token(s.entity))
	for _, form := range k.forms {
		if strings.Contains(form, "{action}") || !s.named() { // nobody knows what a dead webhook is about
			all = append(all, prefix+"."+fill.Replace(form))
		}
	}
	return all
}

// isWanted says whether a message about an object is wanted, if the subjects let it through.
func (s *selection) isWanted(o object) bool {
	return s.entity == "" || s.entity == o.id
}

// matches says whether a message has the text that is looked for.
func (s *selection) matches(m journal.Message, title string) bool {
	if s.text == "" {
		return true
	}
	if s.grep.MatchString(m.Subject) || s.grep.Match(m.Data) || s.grep.MatchString(title) || m.Broken == nil && s.grep.MatchString(m.Event.ID()) {
		return true
	}
	for _, why := range m.Dead() {
		if s.grep.MatchString(why) {
			return true
		}
	}
	return false
}

// object is what a message is about. Its id is empty if the message does not say it.
type object struct{ cloud, resource, id string }

// about returns the object that a message is about.
func about(prefix string, m journal.Message) object {
	tokens := strings.Split(strings.TrimPrefix(m.Subject, prefix+"."), ".")
	switch {
	case len(tokens) == 5 && (tokens[0] == "event" || tokens[0] == "change"):
		o := object{cloud: tokens[1], resource: tokens[2], id: tokens[3]}
		if m.Broken == nil { // the true id, also if it cannot be a token
			_, id, ok := strings.Cut(m.Event.Subject(), "/")
			switch {
			case ok:
				o.id = id
			case tokens[0] == "change" && m.Event.Subject() != "":
				o.id = m.Event.Subject()
			}
		}
		return o
	case len(tokens) == 5 && tokens[0] == "result" && m.Broken == nil:
		if resource, id, ok := strings.Cut(m.Event.Subject(), "/"); ok {
			return object{cloud: tokens[1], resource: resource, id: id}
		}
	case len(tokens) == 5 && tokens[0] == "dead":
		return object{cloud: tokens[2], resource: tokens[3], id: target(tokens[4], m)}
	}
	return object{}
}

// target is the id of the object that a dead command was to change; empty if it makes a new one, or does not say it.
func target(operation string, m journal.Message) string {
	op, known := factro.Lookup(operation)
	if !known || op.Lane == "" {
		return ""
	}
	data := m.Data
	if m.Broken == nil {
		data = m.Event.Data()
	}
	values, err := jsontext.Properties(data, op.Lane)
	var id string
	if err != nil || json.Unmarshal(values[0], &id) != nil {
		return ""
	}
	return id
}
