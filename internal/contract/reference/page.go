package reference

import (
	"maps"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// page is a resource's page of the reference.
type page struct {
	Resource          string
	Commands, Queries int
	Entries           []entry
	// Schemas are the component schemas that the page speaks of, sorted.
	Schemas []schemaSection
}

// entry is an operation's section.
type entry struct {
	factro.Operation
	Kind, Subject string
	Rows          []row
	// Shell are two lines to copy: one for bridge, one for nats.
	Shell []string
}

// schemaSection is a component schema's section.
type schemaSection struct {
	Name, Doc, Confidence string
	Rows                  []row
}

// resourcePages returns the pages in the order of the table.
func resourcePages(prefix events.Prefix) []page {
	var all []page
	for _, op := range factro.Operations() {
		i := slices.IndexFunc(all, func(p page) bool { return p.Resource == op.Resource })
		if i < 0 {
			i, all = len(all), append(all, page{Resource: op.Resource})
		}
		e := entryOf(prefix, op)
		all[i].Entries = append(all[i].Entries, e)
		if op.Writes() {
			all[i].Commands++
		} else {
			all[i].Queries++
		}
	}
	for i := range all {
		all[i].Schemas = schemaSections(all[i].Entries)
	}
	return all
}

func entryOf(prefix events.Prefix, op factro.Operation) entry {
	e := entry{Operation: op, Kind: "query", Subject: prefix.Query("<cloud>", op.Resource, op.Name), Rows: dataRows(op)}
	if op.Writes() {
		e.Kind, e.Subject = "command", prefix.Command("<cloud>", op.Resource, op.Name)
	}
	if op.Creates() {
		e.Kind = "command, carried out once"
	}
	e.Shell = shellLines(prefix, op)
	return e
}

// schemaSections are the schemas that the entries name and those that these name, but for enumerations, whose values
// stand where they are used.
func schemaSections(entries []entry) []schemaSection {
	sections := map[string]schemaSection{}
	var add func(name string)
	add = func(name string) {
		if _, known := sections[name]; known || name == "" {
			return
		}
		schema := schemas.Components()[name]
		s := schemaSection{Name: name, Rows: schemaRows(schema)}
		s.Doc, _ = schema["description"].(string)
		s.Confidence, _ = schema["x-confidence"].(string)
		sections[name] = s
		for _, r := range s.Rows {
			add(r.ref)
		}
	}
	for _, e := range entries {
		add(e.AnswerSchema)
		for _, r := range e.Rows {
			add(r.ref)
		}
	}
	return slices.SortedFunc(maps.Values(sections), func(a, b schemaSection) int { return strings.Compare(a.Name, b.Name) })
}
