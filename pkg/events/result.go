package events

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// Types of events begin with one of these. What follows is factro's action, the operation, or the outcome.
const (
	EventTypePrefix   = "com.factro."
	CommandTypePrefix = "com.factro.command."
	ResultTypePrefix  = "com.factro.result."
)

// Headers of NATS messages beside the attributes.
const (
	// HeaderReplyTo may be set on a command: the subject that gets a copy of its results.
	HeaderReplyTo = "Factro-Reply-To"
	// HeaderMessageID is JetStream's header for recognising a message that is published twice.
	HeaderMessageID = "Nats-Msg-Id"
	// HeaderObject stands on the answer of a query that is too large for a message: "<bucket>/<name>" of the object that
	// is the answer. The message's data is then {"object": ObjectRef}.
	HeaderObject = "Factro-Object"
	// HeaderErrorCode and HeaderError stand on the answer of a query that failed: an HTTP status, and a line of text. The
	// message's data is then an Error.
	HeaderErrorCode = "Nats-Service-Error-Code"
	HeaderError     = "Nats-Service-Error"
	// HeaderRedrive stands on a command that is sent once more although it was given up: the sequence of its dead letter. It
	// belongs on the subject [Prefix.Redrive] only.
	HeaderRedrive = "Factro-Redrive"
	// HeaderDeadCode and HeaderDeadReason stand on dead letters: one of the Code constants, and a sentence, which
	// DecodeHeader makes readable.
	HeaderDeadCode   = "Factro-Dead-Code"
	HeaderDeadReason = "Factro-Dead-Reason"
)

// Outcome is how a command ended, or that it has to wait. It is the last token of a result's subject.
type Outcome string

const (
	Applied  Outcome = "applied"  // carried out
	Rejected Outcome = "rejected" // final: the input was wrong, or factro said no
	Deferred Outcome = "deferred" // still the bridge's, but it will take a while; a final outcome follows
	Dead     Outcome = "dead"     // given up and parked among the dead letters
)

// Final reports whether no other result of the same command follows.
func (o Outcome) Final() bool { return o != Deferred }

// Result is the data of a result event. The Answer methods of the typed commands decode its Response: only that of a
// command that was applied, was no dry run, and had an answer that was kept.
type Result struct {
	Operation string  `json:"operation"`
	Outcome   Outcome `json:"outcome"`
	// Status is the Core API's HTTP status, or 0 if it was not asked or did not answer.
	Status int `json:"status,omitempty"`
	// Attempts counts the calls that were made.
	Attempts   int        `json:"attempts"`
	StartedAt  time.Time  `json:"startedAt"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
	// Resource is the object that the command was about, as far as it is known.
	Resource *Resource `json:"resource,omitempty"`
	// Response is the Core API's JSON as it came, with all digits of its numbers; absent if there was none or if it was
	// too large for a message. Of a dry run it is the planned call.
	Response json.RawMessage `json:"response,omitempty"`
	// Omitted says that there was a response, and that it was too large to be passed on or kept.
	Omitted bool `json:"responseOmitted,omitempty"`
	// Adopted says that factro did not answer the call, and that a search found what it had created. The
	// response is then the object as factro lists it.
	Adopted bool `json:"adopted,omitempty"`
	// Existing says that the create had an external key whose object exists: nothing was created. Resource is that object.
	// The command was carried out as an update if its sender wanted that, see [WithOnConflict].
	Existing bool   `json:"existing,omitempty"`
	Error    *Error `json:"error,omitempty"`
	// RetryAt says when a deferred command is tried next, as far as that is known.
	RetryAt *time.Time `json:"retryAt,omitempty"`
	// CommandDigest is a digest of the command's data, however it was written. A repeated result has that of the command that was
	// carried out. It is "" in results of older bridges, and where the data was no JSON.
	CommandDigest string `json:"commandDigest,omitempty"`
	// Set has the fields of factro's object that the command has set, as a JSON object: names as in factro's object, with the values
	// that were sent. Of a command for a list it is an array of such objects, each with its id. It is empty if the command was not
	// applied, sets no fields, or had larger values than the bridge repeats, and in results of older bridges.
	Set json.RawMessage `json:"set,omitempty"`
	// SetOmitted are the names of the fields if their values were too large for Set.
	SetOmitted []string `json:"setOmitted,omitempty"`
	// DryRun says that nothing was called. It is an attribute of the event and no part of its data.
	DryRun bool `json:"-"`
}

// Resource names an object of factro's.
type Resource struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"`
	// URL shows the object in factro's web UI, where the form of the link is known.
	URL string `json:"url,omitempty"`
}

// Codes of Error.
const (
	CodeInvalid          = "invalid"           // the command's data or attributes are wrong; nothing was called
	CodeUnknownOperation = "unknown-operation" // no such operation; nothing was called
	CodeExpired          = "expired"           // expirytime had passed; nothing was called
	CodeUnknownKey       = "unknown-key"       // the data names an object by an external key that is not known; nothing was called
	CodeConflict         = "conflict"          // the same source and id were used before with other data; nothing was called
	CodeRefused          = "refused"           // factro said no; status and detail say what
	CodePolicy           = "policy"            // the operator's policy does not let it through; nothing was called
	CodePurged           = "purged"            // an operator took it out of the queue; nothing was called
	CodePaused           = "paused"            // an operator has paused the commands or queries of the cloud
	CodeThrottled        = "throttled"         // factro's request budget is used up for now
	CodeUnauthorized     = "unauthorized"      // factro does not accept the API key; the cloud is paused
	CodeUnavailable      = "unavailable"       // factro fails or cannot be reached
	CodeQueued           = "queued"            // other commands go before it
	CodeHeld             = "held"              // a dead letter about the same thing holds it up
	CodeExhausted        = "exhausted"         // factro failed on this command too often
	CodeAmbiguous        = "ambiguous"         // a create may have happened; a human should look
	CodeUndeliverable    = "undeliverable"     // the broker gave it up without a verdict; a human should look
)

// Err returns nil if the command was applied, and else an error of type *Error.
func (r Result) Err() error {
	if r.Outcome == Applied {
		return nil
	}
	if r.Error == nil { // not by this contract, but then there is no other word for it
		return &Error{Code: string(r.Outcome), Message: strings.TrimSpace(r.Operation + " was not applied"), Status: r.Status}
	}
	e := *r.Error
	e.Status = r.Status
	return &e
}

// ResultOf reads the result that an event carries, from a subscription or from elsewhere.
func ResultOf(e event.Event) (Result, error) {
	if !strings.HasPrefix(e.Type(), ResultTypePrefix) {
		return Result{}, fmt.Errorf("the event's type is %s, which is none of a result", binding.Quote(e.Type()))
	}
	var r Result
	if err := json.Unmarshal(e.Data(), &r); err != nil {
		return Result{}, fmt.Errorf("result: %w", err)
	}
	switch dry := e.Extensions()[attr.DryRun].(type) {
	case bool:
		r.DryRun = dry
	case string:
		r.DryRun = dry == "true"
	}
	return r, nil
}
