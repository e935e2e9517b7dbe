// Package attr has the names of the extension attributes that the bridge's CloudEvents have beside those of CloudEvents
// itself, and recognises the results of a command by them. It is for a program that looks at the attributes of an event:
// e.CloudEvent.Extensions()[attr.Origin].
package attr

// Extension attributes of events, commands and results.
const (
	TraceParent   = "traceparent"   // the trace in which the event began; written once, never changed on the way
	TraceState    = "tracestate"    // goes with traceparent
	RecordedTime  = "recordedtime"  // when the bridge made the event; its time is when the thing happened
	Action        = "factroaction"  // the webhook's action, as factro wrote it
	Cloud         = "factrocloud"   // the configured name of the factro cloud
	Origin        = "factroorigin"  // how the event came: webhook, spool or reconcile; of a change verify, or absent
	ExpiryTime    = "expirytime"    // a command is not carried out at or after this time
	NotBefore     = "notbefore"     // a command is not carried out before this time
	CorrelationID = "correlationid" // copied from a command to its results
	CausationID   = "causationid"   // a result's: the id of the command; a change's: the ids of the events that led to it, separated by blanks
	// A result's: the source of the command, absent for a plain JSON command.
	CausationSource = "causationsource"
	// A result's: the place of the command in its stream, "<stream>:<sequence>".
	CausationPosition = "causationposition"
	PartitionKey      = "partitionkey" // a command's: commands of one key keep their order
	Priority          = "priority"     // a command's: high, normal or low; high goes before others, and low after them
	DryRun            = "dryrun"       // a command's: check it and report the planned call, but do not make it
	ExternalKey       = "externalkey"  // a create's: the sender's own key of the object; one key makes one object
	OnConflict        = "onconflict"   // a create's with externalkey: what happens if the object exists, existing or update
	Existing          = "existing"     // a result's: the create found the object of its externalkey, and created nothing
	Cause             = "factrocause"  // a change's: the id of the command that made it
	Sender            = "factrosender" // a change's: the source of that command
	// A change's: how certain it is that the command made it, exact or likely.
	Certainty = "factrocertainty"
)

// Values of the attribute priority. A command without it has the priority normal.
const (
	PriorityHigh   = "high"
	PriorityNormal = "normal"
	PriorityLow    = "low"
)

// Caused reports whether an event with these extension attributes is a result of the command with this source and id. The source
// of a plain JSON command is "". Results of older bridges name no source, and count for every source.
func Caused(extensions map[string]any, source, id string) bool {
	if cause, ok := extensions[CausationID].(string); !ok || cause != id {
		return false
	}
	cause, named := extensions[CausationSource].(string)
	_, placed := extensions[CausationPosition]
	if !named && !placed { // an older bridge wrote it
		return true
	}
	return cause == source
}

// MaxExternalKey is how many bytes an ExternalKey has at most.
const MaxExternalKey = 512

// Values of OnConflict: what happens if a create's external key has an object already.
const (
	OnConflictExisting = "existing" // nothing; the result names the object. This is the default
	OnConflictUpdate   = "update"   // the object is updated with the create's data
)
