package ledger

import (
	"encoding/json"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Conflict is the error for a command whose source and id the ledger has for another command. It contains the result of the
// earlier command, but without factro's answer: an answer can be large, and it was meant for the earlier sender.
func (r Record) Conflict() *events.Error {
	e := &events.Error{
		Code:    events.CodeConflict,
		Message: "a command with this source and id was sent before with other data; an id is for one command",
	}
	var earlier events.Result
	if r.Result == nil || json.Unmarshal(r.Result, &earlier) != nil {
		return e // the earlier command is not finished
	}
	earlier.Omitted = earlier.Omitted || earlier.Response != nil
	earlier.Response, earlier.Set, earlier.SetOmitted = nil, nil, nil
	if earlier.Error != nil {
		earlier.Error.Answer, earlier.Error.Earlier = nil, nil
	}
	e.Earlier = &earlier
	return e
}
