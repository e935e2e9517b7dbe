package factro

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Action is the name of something that happens at factro, as a webhook carries it.
type Action struct {
	Name string
	// Confidence says how well the name is known, as for operations.
	Confidence string
}

// actions are the names that occur in public sources, of about 300 that there are. No name may be added by analogy: the
// whole list is in the vendor's document, and in the selection of actions in factro's web UI.
var actions = []Action{
	{"TaskExecutorChanged", "observed"}, // received by a public bot, 2023
	{"TaskStateChanged", "documented"},  // examples of a public SDK, 2026
	{"TaskCreated", "documented"},
}

// Actions returns the names of actions that are known without factro's own document. The slice is the caller's.
func Actions() []Action { return append([]Action(nil), actions...) }

// ReadActions reads a list of actions: one name a line, blank lines and what follows a # not counted.
func ReadActions(text string) ([]string, error) {
	var names []string
	var errs []error
	number := 0
	for line := range strings.Lines(text) {
		number++
		name, _, _ := strings.Cut(line, "#")
		switch name = strings.TrimSpace(name); {
		case name == "":
		case strings.ContainsAny(name, " \t,;\"'"):
			errs = append(errs, fmt.Errorf("line %d: %q is not the name of an action; want one name a line", number, name))
		default:
			names = append(names, name)
		}
	}
	if len(names) == 0 && len(errs) == 0 {
		errs = append(errs, errors.New("there is no name in it; want one name a line"))
	}
	return names, errors.Join(errs...)
}

// KnowsWebhookKey says whether a key at the top of a webhook's body is one that the description has. Of a delivery only
// two keys are proven; those of the stored record may be there as well.
func KnowsWebhookKey(name string) bool { return webhookKeys()[name] }

var webhookKeys = sync.OnceValue(func() map[string]bool {
	known := map[string]bool{}
	for _, schema := range []string{"WebhookDelivery", "WebhookPayload"} {
		properties, _ := propertiesOf(component(schema))
		for name := range properties {
			known[name] = true
		}
	}
	return known
})
