package timeline

import (
	"cmp"
	"slices"
	"time"
)

// What an id can be.
const (
	KindEntity  = "entity"  // an object of factro
	KindEvent   = "event"   // an event, by its id
	KindCommand = "command" // a command, by the id that its sender gave it
	KindTrace   = "trace"   // a trace, by its 32 hexadecimal digits
	KindKey     = "key"     // an external key
)

// Kinds are all of them.
var kinds = []string{KindEntity, KindEvent, KindCommand, KindTrace, KindKey}

// Kinds are what an id can be.
func Kinds() []string { return slices.Clone(kinds) }

// Steps, in the order in which they are shown if their times are equal.
const (
	Received  = "received" // a webhook came in
	Found     = "found"    // the reconciliation found an event whose webhook had not come
	Stored    = "stored"   // an event is in its stream
	Sent      = "sent"     // a command is in its queue
	Redriven  = "redriven" // a dead command is in the queue once more
	Delayed   = "delayed"  // a command waits for its time
	Waits     = "waits"    // a command has to wait, and why
	Begun     = "begun"    // the bridge began to carry a command out
	Attempted = "attempt"  // factro was called, and how it answered
	Reserved  = "key"      // an external key has an object, or a command that is to make it
	Resulted  = "result"   // the outcome of a command
	Dead      = "dead"     // a command or webhook was given up
	Changed   = "change"   // the mirror saw what changed in an object
)

var steps = []string{Received, Found, Sent, Redriven, Stored, Delayed, Begun, Waits, Attempted, Reserved, Resulted, Dead, Changed}

// Clocks of the times.
const (
	OfBroker = "nats"   // when the stream stored the message
	OfBridge = "bridge" // what the bridge wrote down
)

// Entry is one step. Its names in JSON are stable; new ones may come.
type Entry struct {
	Time time.Time `json:"time"`
	// Clock is whose time it is.
	Clock string `json:"clock"`
	Step  string `json:"step"`
	Cloud string `json:"cloud"`
	// Text says it in words.
	Text string `json:"text"`

	// Stream, Sequence and Subject are the message that records it.
	Stream   string `json:"stream,omitempty"`
	Sequence uint64 `json:"sequence,omitempty"`
	Subject  string `json:"subject,omitempty"`

	// Event is the id of an event. Events are those that led to a change.
	Event  string   `json:"event,omitempty"`
	Events []string `json:"events,omitempty"`
	// Resource and Entity are the object.
	Resource string `json:"resource,omitempty"`
	Entity   string `json:"entity,omitempty"`
	// Command and Source are the id and the source of a command, and Operation is what it asks for.
	Command   string `json:"command,omitempty"`
	Source    string `json:"source,omitempty"`
	Operation string `json:"operation,omitempty"`
	// Outcome and Code are those of a result, Status is factro's, and Attempts how many calls there were.
	Outcome  string `json:"outcome,omitempty"`
	Code     string `json:"code,omitempty"`
	Status   int    `json:"status,omitempty"`
	Attempts int    `json:"attempts,omitempty"`
	// Millis is how long it took, in milliseconds, and Until what a wait is expected to last to.
	Millis int64      `json:"ms,omitempty"`
	Until  *time.Time `json:"until,omitempty"`
	// Letter is the name of a dead letter, Key an external key.
	Letter string `json:"deadLetter,omitempty"`
	Key    string `json:"externalkey,omitempty"`
	Trace  string `json:"trace,omitempty"`
}

func compare(a, b Entry) int {
	return cmp.Or(
		a.Time.Compare(b.Time), cmp.Compare(slices.Index(steps, a.Step), slices.Index(steps, b.Step)),
		cmp.Compare(a.Cloud, b.Cloud), cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Sequence, b.Sequence),
		cmp.Compare(a.Command, b.Command), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Text, b.Text),
	)
}

// Look is what was read of one stream.
type Look struct {
	Stream string `json:"stream"`
	// Subject is the filter, "" for all messages.
	Subject string `json:"subject,omitempty"`
	// Messages is how many were read, and Since from when on; absent if the stream is empty, or not there.
	Messages uint64     `json:"messages"`
	Since    *time.Time `json:"since,omitempty"`
	Millis   int64      `json:"ms"`
	// Whole says that the stream has nothing older.
	Whole bool `json:"whole,omitempty"`
	// Cut says that older messages were not read since there are too many.
	Cut bool `json:"cut,omitempty"`
	// Missing says that there is no such stream.
	Missing bool `json:"missing,omitempty"`
	// Error is why it could not be read.
	Error string `json:"error,omitempty"`

	err error
}

// Timeline is what was found.
type Timeline struct {
	ID string `json:"id"`
	// Kinds are what the id turned out to be, empty if nothing was found.
	Kinds   []string `json:"kinds"`
	Entries []Entry  `json:"entries"`
	// Left is how many older entries were left out.
	Left int `json:"left,omitempty"`
	// Limited says that the chain has more commands or objects than were followed.
	Limited bool   `json:"limited,omitempty"`
	Looked  []Look `json:"looked"`
}

// Cut says whether more may be there than was read or is shown.
func (t *Timeline) Cut() bool {
	return t.Left > 0 || t.Limited || slices.ContainsFunc(t.Looked, func(l Look) bool { return l.Cut })
}

// Errors are what could not be read.
func (t *Timeline) Errors() []error {
	var errs []error
	for _, l := range t.Looked {
		if l.err != nil {
			errs = append(errs, l.err)
		}
	}
	return errs
}

// Join adds the timeline of another cloud.
func (t *Timeline) Join(other *Timeline, most int) {
	t.ID = cmp.Or(t.ID, other.ID)
	t.Kinds = inOrder(append(t.Kinds, other.Kinds...))
	t.Entries = append(append([]Entry{}, t.Entries...), other.Entries...)
	t.Left, t.Limited = t.Left+other.Left, t.Limited || other.Limited
	t.Looked = append(t.Looked, other.Looked...)
	t.settle(most)
}

// settle brings the entries into their order and leaves out the oldest of too many.
func (t *Timeline) settle(most int) {
	slices.SortFunc(t.Entries, compare)
	if left := len(t.Entries) - most; most > 0 && left > 0 {
		t.Entries, t.Left = t.Entries[left:], t.Left+left
	}
}

func inOrder(found []string) []string {
	all := []string{}
	for _, kind := range kinds {
		if slices.Contains(found, kind) {
			all = append(all, kind)
		}
	}
	return all
}
