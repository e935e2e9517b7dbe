package events

import "github.com/factro-bridge/factro-bridge/pkg/events/internal/command"

// ByExternalKey returns what stands in the place of an id for the object with an external key, see [WithExternalKey]:
//
//	payload.SetTaskState{TaskID: events.ByExternalKey("JIRA-17"), State: payload.TaskStateReview}
//
// It is for the payloads of a [Client], which sends {"externalkey": "JIRA-17"} instead of the id. The bridge rejects the command or
// query with [CodeUnknownKey] if it does not know the key.
func ByExternalKey(key string) string { return command.KeyMark + key }
