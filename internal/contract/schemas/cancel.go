package schemas

import (
	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

// cancelRequestSchema is notbefore.CancelRequest.
func cancelRequestSchema() map[string]any {
	return map[string]any{
		"type": "object", "required": ordered.List{"id"}, "description": "Which delayed command is to be cancelled.",
		"properties": map[string]any{
			"id":     map[string]any{"type": "string", "minLength": 1, "description": "The id of the command."},
			"source": map[string]any{"type": "string", "description": "The source of the command."},
		},
	}
}

// cancelAnswerSchema is notbefore.CancelAnswer. Its states are open.
func cancelAnswerSchema() map[string]any {
	return map[string]any{
		"type": "object", "required": ordered.List{"state"}, "description": "The outcome of the request. Readers expect other states than these, too.",
		"properties": map[string]any{"state": map[string]any{
			"type": "string",
			"description": string(notbefore.Cancelled) + ": the command is not carried out; its result, rejected with the code " + notbefore.CodeCancelled + ", follows. " +
				string(notbefore.Begun) + ": too late, it was begun or has a result. " + string(notbefore.NotFound) + ": no delayed command has this source and id.",
		}},
	}
}
