package compare

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// Kinds of a Difference.
const (
	Added   = "added"   // the fresh description has it, ours does not
	Removed = "removed" // ours has it, the fresh one does not
	Changed = "changed"
)

// Difference is one point in which a description of the Core API differs from ours.
type Difference struct {
	Kind string `json:"kind"`
	// Route is the method and the path, with parameters as {}; their names are the author's choice.
	Route string `json:"route"`
	// Operation is our name of the operation, or theirs if we do not have it.
	Operation string `json:"operation"`
	// Field is where in the operation: "path 1", "query startDate", "request.title", "answer[].id"; empty if the whole
	// operation was added or removed.
	Field string `json:"field,omitempty"`
	// Ours and Fresh are the two descriptions of the field.
	Ours  string `json:"ours,omitempty"`
	Fresh string `json:"fresh,omitempty"`
}

// Comparison is what comes out of Diff.
type Comparison struct {
	Differences []Difference `json:"differences"`
	// Same counts the operations without a difference.
	Same int `json:"same"`
	// Prefix is what the fresh description has before all the paths that we know, such as /api/core.
	Prefix string `json:"prefix,omitempty"`
	// Names are the operations that the two call differently, ours to theirs. Our names are the contract's: they stand in
	// subjects, and renaming one breaks senders.
	Names map[string]string `json:"names,omitempty"`
}

// Descriptions compares a fresh description of factro's Core API with the one that the bridge is made from. It takes OpenAPI 3 as
// JSON or YAML, or the file swagger-ui-init.js of the vendor's pages, which holds it.
func Descriptions(fresh []byte) (Comparison, error) {
	return diff(factro.OpenAPI, fresh)
}

func diff(known, fresh []byte) (Comparison, error) {
	theirDoc, err := loadOpenAPI(fresh)
	if err != nil {
		return Comparison{}, err
	}
	ourDoc, err := loadOpenAPI(known)
	if err != nil {
		return Comparison{}, fmt.Errorf("our own description: %w", err)
	}
	ours := operationsOf(ourDoc, "")
	c := Comparison{Differences: []Difference{}, Prefix: prefixOf(theirDoc, ours), Names: map[string]string{}}
	theirs := operationsOf(theirDoc, c.Prefix)
	if len(theirs) == 0 {
		return Comparison{}, errors.New("the description has no operations")
	}
	for _, route := range slices.Sorted(maps.Keys(union(ours, theirs))) {
		our, have := ours[route]
		their, stays := theirs[route]
		switch {
		case !have:
			c.Differences = append(c.Differences, Difference{Kind: Added, Route: route, Operation: their.name})
		case !stays:
			c.Differences = append(c.Differences, Difference{Kind: Removed, Route: route, Operation: our.name})
		default:
			changes := compare(route, our, their)
			c.Differences = append(c.Differences, changes...)
			if len(changes) == 0 {
				c.Same++
			}
			if their.name != "" && their.name != our.name {
				c.Names[our.name] = their.name
			}
		}
	}
	return c, nil
}

func compare(route string, our, their described) []Difference {
	var out []Difference
	for _, field := range slices.Sorted(maps.Keys(union(our.fields, their.fields))) {
		d := Difference{Kind: Changed, Route: route, Operation: our.name, Field: field, Ours: our.fields[field], Fresh: their.fields[field]}
		switch {
		case d.Ours == d.Fresh:
			continue
		case d.Ours == "":
			d.Kind = Added
		case d.Fresh == "":
			d.Kind = Removed
		}
		out = append(out, d)
	}
	return out
}

func union[V any](a, b map[string]V) map[string]bool {
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}
