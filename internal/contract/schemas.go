package contract

import (
	"maps"
	"slices"
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Names of the schemas that belong to no operation, and what stands before the operation in the others' names.
const (
	eventName     = "event"
	resultName    = "result"
	dryRunName    = "dryrun"
	errorName     = "error"
	gapName       = "gap"
	commandPrefix = "command."
	queryPrefix   = "query."
	answerPrefix  = "answer."
)

// Schemas returns the names of all schemas, sorted: event, gap, dryrun, error, status, command.<operation>, result,
// result.<operation>, query.<operation> and answer.<operation>.
func Schemas() []string { return slices.Sorted(maps.Keys(makers())) }

// Schema returns a schema as JSON of draft 2020-12 that refers to nothing outside of itself. Its $id is
// events.SchemaURI(name). Validators take it in strict mode, with their default settings. Instead of command.<operation> and query.<operation> the operation alone will do.
func Schema(name string) ([]byte, bool) {
	name = SchemaName(name)
	schema, ok := makers()[name]
	if !ok {
		return nil, false
	}
	text, err := indented(bundle(events.SchemaURI(name), schema()))
	if err != nil {
		panic("schema " + name + ": " + err.Error()) // it is made of the table alone, and a test made them all
	}
	return text, true
}

// SchemaName returns the name of the schema of an operation's data, and any other name as it is.
func SchemaName(name string) string {
	op, ok := factro.Lookup(name)
	switch {
	case !ok:
		return name
	case op.Writes():
		return commandPrefix + name
	default:
		return queryPrefix + name
	}
}

// makers builds each schema when it is asked for: all 450 at once would take a second and nobody needs them.
var makers = sync.OnceValue(func() map[string]func() map[string]any {
	all := map[string]func() map[string]any{
		eventName:  func() map[string]any { return titled("Data of an event", "Event") },
		resultName: resultOfAny,
		dryRunName: resultOfDryRun,
		errorName:  func() map[string]any { return titled("Data of an error that answers a query", "ResultError") },
		gapName:    func() map[string]any { return titled("Data of an event about a gap", "Gap") },
		statusName: func() map[string]any { return titled("Why commands wait", "Status") },
	}
	for _, op := range factro.Operations() {
		data := func() map[string]any { return dataSchema(op) }
		if op.Writes() {
			all[commandPrefix+op.Name] = data
			all[resultName+"."+op.Name] = func() map[string]any { return resultOf(op) }
		} else {
			all[queryPrefix+op.Name] = data
			all[answerPrefix+op.Name] = func() map[string]any { return answerOf(op) }
		}
	}
	return all
})

// titled is one of our own components as a schema by itself.
func titled(title, component string) map[string]any {
	schema := maps.Clone(components()[component])
	schema["title"] = title
	return schema
}
