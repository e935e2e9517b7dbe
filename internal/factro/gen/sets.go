package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// sets is x-sets: the fields of the object that an operation sets under another name than that of a property of its body.
type sets struct {
	Named    map[string]string   `yaml:"named"`    // a field of the object, and the property that has its value
	Cleared  []string            `yaml:"cleared"`  // fields that become null
	Computed map[string][]string `yaml:"computed"` // a field that is set, and the fields that factro computes from it
}

func (s *sets) write(out *bytes.Buffer) {
	if s == nil {
		return
	}
	out.WriteString("\nSets: &Sets{")
	if len(s.Named) > 0 {
		out.WriteString("Named: []SetName{")
		for _, field := range slices.Sorted(maps.Keys(s.Named)) {
			fmt.Fprintf(out, "{Field: %q, Property: %q},", field, s.Named[field])
		}
		out.WriteString("},")
	}
	if len(s.Cleared) > 0 {
		fmt.Fprintf(out, "Cleared: %#v,", s.Cleared)
	}
	if len(s.Computed) > 0 {
		out.WriteString("Computed: []Computed{")
		for _, field := range slices.Sorted(maps.Keys(s.Computed)) {
			fmt.Fprintf(out, "{Of: %q, Fields: %#v},", field, s.Computed[field])
		}
		out.WriteString("},")
	}
	out.WriteString("},")
}

// check checks that every property that x-sets names is one of the body.
func (s *sets) check(properties map[string]map[string]any) error {
	if s == nil {
		return nil
	}
	for _, field := range slices.Sorted(maps.Keys(s.Named)) {
		if _, known := properties[s.Named[field]]; !known {
			return fmt.Errorf("x-sets takes %s from %q, which is no property of the body", field, s.Named[field])
		}
	}
	return nil
}
