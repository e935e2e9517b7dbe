// Package notice has the data of the events by which a bridge reports that something about it changed: that factro fails or is
// well again, that an operator has paused or resumed something, that factro refuses the API key or accepts it again, that the
// bridge has taken over the work of another one. In comes such an event, out goes its data. It decides nothing.
package notice

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// What changed: the last token of the subject, as in events.Prefix.NoticeFilter("acme", notice.Paused).
const (
	Opened      = "opened"       // factro counts as failing; this bridge calls it no more but to see whether it is well again
	Closed      = "closed"       // factro is well again
	Paused      = "paused"       // an operator has paused a direction of the cloud
	Resumed     = "resumed"      // an operator has resumed it
	KeyRefused  = "key-refused"  // factro does not accept the API key, or there is none
	KeyAccepted = "key-accepted" // it accepts it again
	Takeover    = "takeover"     // a bridge works on what another one worked on before
)

// All are what can change.
func All() []string {
	return []string{Opened, Closed, Paused, Resumed, KeyRefused, KeyAccepted, Takeover}
}

// TypePrefix and what changed are the type of such an event: com.factro.bridge.opened.
const TypePrefix = "com.factro.bridge."

// Notice is the data of such an event. Each bridge has a breaker and a view of the key of its own, and reports them for itself; a
// pause is of all bridges and is reported once.
type Notice struct {
	Cloud string `json:"cloud"`
	// Bridge is the process that saw it, as its host and process id.
	Bridge string `json:"bridge"`
	// Since is when what is reported began: the failure, the refusal or the pause. When it ended is the time of the event.
	Since *time.Time `json:"since,omitempty"`
	// Cause is why factro counts as failing, or the key as refused.
	Cause string `json:"cause,omitempty"`
	// NextAttempt is when factro is asked again.
	NextAttempt *time.Time `json:"nextAttempt,omitempty"`
	// Direction, Who and Why are of pauses: commands, webhooks-out, queries or mirror; who has paused or resumed it, and why.
	Direction string `json:"direction,omitempty"`
	Who       string `json:"who,omitempty"`
	Why       string `json:"why,omitempty"`
	// Work, From, To and Silent are of takeovers: commands or reconcile; the bridges as `bridge status` names them; and whether the
	// one before fell silent, as after a crash, instead of giving the work away.
	Work   string `json:"work,omitempty"`
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
	Silent bool   `json:"silent,omitempty"`
}

// Of decodes the data of such an event and says what changed. It is an error if the event is no such event.
func Of(e event.Event) (what string, n Notice, err error) {
	what, ok := strings.CutPrefix(e.Type(), TypePrefix)
	if !ok || strings.Contains(what, ".") {
		return "", n, fmt.Errorf("the event is of the type %s, want %s and what changed", binding.Quote(e.Type()), TypePrefix)
	}
	if err := json.Unmarshal(e.Data(), &n); err != nil {
		return "", n, fmt.Errorf("data of %s: %w", e.Type(), err)
	}
	return what, n, nil
}
