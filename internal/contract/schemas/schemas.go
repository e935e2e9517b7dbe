package schemas

import (
	"maps"
	"slices"
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Names of the schemas that belong to no operation, and what stands before the operation in the others' names.
const (
	EventName     = "event"
	ResultName    = "result"
	DryRunName    = "dryrun"
	errorName     = "error"
	gapName       = "gap"
	noticeName    = "notice"
	ChangeName    = "change"
	StateName     = "state"
	StatusName    = "status"
	CancelName    = "cancel"
	CommandPrefix = "command."
	QueryPrefix   = "query."
	AnswerPrefix  = "answer."
)

// Names returns the names of all schemas, sorted: event, change, state, gap, notice, dryrun, error, status, cancel, command.<operation>, result,
// result.<operation>, query.<operation> and answer.<operation>.
func Names() []string { return slices.Sorted(maps.Keys(makers())) }

// Document returns a schema as JSON of draft 2020-12 that refers to nothing outside of itself. Its $id is
// events.SchemaURI(name). Validators take it in strict mode, with their default settings. Instead of command.<operation> and query.<operation> the operation alone will do.
func Document(name string) ([]byte, bool) {
	name = NameOf(name)
	schema, ok := makers()[name]
	if !ok {
		return nil, false
	}
	text, err := ordered.Indented(bundle(events.SchemaURI(name), schema()))
	if err != nil {
		panic("schema " + name + ": " + err.Error()) // it is made of the table alone, and a test made them all
	}
	return text, true
}

// NameOf returns the name of the schema of an operation's data, and any other name as it is.
func NameOf(name string) string {
	op, ok := factro.Lookup(name)
	switch {
	case !ok:
		return name
	case op.Writes():
		return CommandPrefix + name
	default:
		return QueryPrefix + name
	}
}

// makers builds each schema when it is asked for: all 450 at once would take a second, and few are used.
var makers = sync.OnceValue(func() map[string]func() map[string]any {
	all := map[string]func() map[string]any{
		EventName:  func() map[string]any { return titled("Data of an event", "Event") },
		ResultName: resultOfAny,
		DryRunName: ResultOfDryRun,
		errorName:  func() map[string]any { return titled("Data of an error that answers a query", "ResultError") },
		gapName:    func() map[string]any { return titled("Data of an event about a gap", "Gap") },
		noticeName: func() map[string]any { return titled("Data of an event by which a bridge reports a change", "Notice") },
		ChangeName: func() map[string]any { return titled("Data of a change of an object", "Change") },
		StateName:  func() map[string]any { return titled("Headers of an entry of the state", "StateHeaders") },
		StatusName: func() map[string]any { return titled("Why commands wait", "Status") },
		CancelName: func() map[string]any { return titled("Outcome of a request to cancel", "CancelAnswer") },
	}
	for _, op := range factro.Operations() {
		data := func() map[string]any { return DataSchema(op) }
		if op.Writes() {
			all[CommandPrefix+op.Name] = data
			all[ResultName+"."+op.Name] = func() map[string]any { return ResultOf(op) }
		} else {
			all[QueryPrefix+op.Name] = data
			all[AnswerPrefix+op.Name] = func() map[string]any { return AnswerOf(op) }
		}
	}
	return all
})

// titled is one of our own components as a schema by itself.
func titled(title, component string) map[string]any {
	schema := maps.Clone(Components()[component])
	schema["title"] = title
	return schema
}
