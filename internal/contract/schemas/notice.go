package schemas

import (
	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
)

// noticeSchema is notice.Notice.
func noticeSchema() map[string]any {
	text := func(doc string) map[string]any { return map[string]any{"type": "string", "description": doc} }
	return map[string]any{
		"type": "object", "required": ordered.List{"cloud", "bridge"},
		"description": "What changed about a bridge, or about what all bridges of a cloud do.",
		"properties": map[string]any{
			"cloud":       text("The cloud's name."),
			"bridge":      text("The process that saw it: its host and process id."),
			"since":       instant("When what is reported began: the failure, the refusal or the pause."),
			"cause":       text("Why factro counts as failing, or the key as refused."),
			"nextAttempt": instant("When factro is asked again."),
			"direction":   text("What is paused or resumed: commands, webhooks-out, queries or mirror."),
			"who":         text("Who has paused or resumed it."),
			"why":         text("Why."),
			"work":        text("What was taken over: commands or reconcile."),
			"from":        text("The bridge that worked on it before, as `bridge status` names it."),
			"to":          text("The bridge that works on it now."),
			"silent":      map[string]any{"type": "boolean", "description": "Whether the one before fell silent, as after a crash, instead of giving the work away."},
		},
	}
}
