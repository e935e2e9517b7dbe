package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

// mirror is x-mirror: how objects are copied. It is on the operation that reads one by its id alone, else on the list.
type mirror struct {
	List    string           `yaml:"list"`
	Each    string           `yaml:"each"`
	All     string           `yaml:"all"`
	Noise   []string         `yaml:"noise"`
	Touches map[string]touch `yaml:"touches"`
	Moves   []string         `yaml:"moves"`
}

// touch is a kind of objects, or {kind-in: property} if a property of the object names the kind.
type touch struct {
	Kind   string
	KindIn string `yaml:"kind-in"`
}

func (t *touch) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&t.Kind)
	}
	type plain touch
	return n.Decode((*plain)(t))
}

func (m *mirror) write(out *bytes.Buffer) {
	if m == nil {
		return
	}
	out.WriteString("\nMirror: &Mirror{")
	if m.List != "" {
		fmt.Fprintf(out, "List: %q,", m.List)
	}
	if m.Each != "" {
		fmt.Fprintf(out, "Each: %q,", m.Each)
	}
	if m.All != "" {
		fmt.Fprintf(out, "All: %q,", m.All)
	}
	if len(m.Moves) > 0 {
		fmt.Fprintf(out, "Moves: %#v,", m.Moves)
	}
	if len(m.Noise) > 0 {
		fmt.Fprintf(out, "Noise: %#v,", m.Noise)
	}
	if len(m.Touches) > 0 {
		out.WriteString("Touches: []Touch{")
		for _, field := range slices.Sorted(maps.Keys(m.Touches)) {
			fmt.Fprintf(out, "{Field: %q,", field)
			if t := m.Touches[field]; t.KindIn != "" {
				fmt.Fprintf(out, "KindIn: %q},", t.KindIn)
			} else {
				fmt.Fprintf(out, "Kind: %q},", t.Kind)
			}
		}
		out.WriteString("},")
	}
	out.WriteString("},")
}

// checkMirror checks every x-mirror: its list shows the same objects, and the fields that it names are in them.
func (d *document) checkMirror() error {
	type list struct {
		schema string
		path   []string // parameters
	}
	lists := map[string]list{}
	err := d.each(func(method, _ string, o operation) error {
		answer, schema, err := answerOf(o.Responses)
		if err != nil || method != "GET" || answer != "list" {
			return err
		}
		l := list{schema: schema}
		for _, p := range o.Parameters {
			if p.In == "path" {
				l.path = append(l.path, p.Name)
			}
		}
		lists[o.OperationID] = l
		return nil
	})
	if err != nil {
		return err
	}
	return d.each(func(method, _ string, o operation) error {
		m := o.Mirror
		if m == nil {
			return nil
		}
		answer, schema, err := answerOf(o.Responses)
		l, known := lists[m.List]
		switch {
		case err != nil:
			return err
		case method != "GET" || answer == "":
			return errors.New("has x-mirror but reads nothing")
		case answer == "list" && m.List != o.OperationID:
			return errors.New("is a list, so x-mirror has to name it as the list")
		case m.List == "" && m.Each == "":
		case !known || l.schema != schema:
			return fmt.Errorf("x-mirror names %q, which does not list %s", m.List, schema)
		case m.Each == "" && len(l.path) != 0, m.Each != "" && len(l.path) != 1:
			return fmt.Errorf("x-mirror names %s with the parameters %v, but each is %q", m.List, l.path, m.Each)
		}
		if all, known := lists[m.All]; m.All != "" && (!known || all.schema != schema || len(all.path) != 0 || m.Each == "") {
			return fmt.Errorf("x-mirror names %q, which is no list of all %s beside those of their parents", m.All, schema)
		}
		return d.checkMirrored(m, schema)
	})
}

// checkMirrored checks that the fields are properties of the object.
func (d *document) checkMirrored(m *mirror, schema string) error {
	properties, _ := d.properties(schema)
	names := slices.Concat(m.Noise, m.Moves)
	for field, t := range m.Touches {
		names = append(names, field)
		switch {
		case (t.Kind == "") == (t.KindIn == ""):
			return fmt.Errorf("x-mirror does not say what kind of object %s touches", field)
		case t.KindIn != "":
			names = append(names, t.KindIn)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if _, known := properties[name]; !known {
			return fmt.Errorf("x-mirror names %q, which is no property of %s", name, schema)
		}
	}
	return nil
}
