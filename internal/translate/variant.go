package translate

import (
	"strconv"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

// Variant distinguishes results that share an id but are different messages. Without it the stream would drop the second one as a
// duplicate. Different results are: a dry run and the command itself, one deferred result and the next, a command and its
// redrive, and rejections of two messages with the same id. A redelivery of a message has the same variant.
func Variant(cmd events.Command, dryRun bool, r events.Result) string {
	suffix := ""
	if cmd.Redrive != "" {
		suffix = ".redrive." + cmd.Redrive
	}
	switch {
	case r.Outcome == events.Deferred && r.RetryAt != nil:
		return suffix + "." + strconv.FormatInt(r.RetryAt.Unix(), 10)
	case r.Outcome == events.Deferred: // by a pause; there may be another one
		return suffix + "." + strconv.FormatInt(r.StartedAt.Unix(), 10)
	case dryRun:
		suffix += ".dryrun"
	}
	if cmd.Position != "" && (dryRun || r.Error != nil && perMessageCodes[r.Error.Code]) {
		suffix += "." + cmd.Position
	}
	return suffix
}

// perMessageCodes are the error codes that are about one message, not about a command in the ledger. A second message with the same
// id may have other data, and its sender needs a result too.
var perMessageCodes = map[string]bool{
	events.CodeInvalid: true, events.CodeUnknownOperation: true, events.CodeConflict: true, events.CodeExpired: true,
	events.CodeUndeliverable: true, events.CodePolicy: true, events.CodePurged: true, events.CodeUnknownKey: true,
	notbefore.CodeUnsupported: true, notbefore.CodeFull: true,
}
