package main

import (
	"bytes"
	"cmp"
	"fmt"
)

// search is x-lookup: how to look for what a create may have made.
type search struct {
	Check   string        `yaml:"check"`
	List    string        `yaml:"list"`
	Params  []searchParam `yaml:"params"`
	Same    [][]string    `yaml:"same"` // a field of the command, then the properties of an item if they are called otherwise
	Like    [][]string    `yaml:"like"`
	Created string        `yaml:"created"`
	Sets    string        `yaml:"sets"`
	Nested  string        `yaml:"nested"`
}

type searchParam struct {
	Name   string   `yaml:"name"`
	Fields []string `yaml:"fields"`
	Days   int      `yaml:"days"`
	Via    string   `yaml:"via"`
	Param  string   `yaml:"param"`
	Take   string   `yaml:"take"`
}

func (s *search) write(out *bytes.Buffer) {
	if s == nil {
		return
	}
	fmt.Fprintf(out, "\nSearch: &Search{Check: %q,", s.Check)
	if s.List != "" {
		fmt.Fprintf(out, "\nList: %q, Created: %q, Sets: %q, Nested: %q,", s.List, s.Created, s.Sets, s.Nested)
		if len(s.Params) > 0 {
			out.WriteString("\nParams: []SearchParam{")
			for _, p := range s.Params {
				fmt.Fprintf(out, "{Name: %q, Fields: %#v", p.Name, p.Fields)
				if p.Days != 0 {
					fmt.Fprintf(out, ", Days: %d", p.Days)
				}
				if cmp.Or(p.Via, p.Param, p.Take) != "" {
					fmt.Fprintf(out, ", Via: %q, Param: %q, Take: %q", p.Via, p.Param, p.Take)
				}
				out.WriteString("},")
			}
			out.WriteString("},")
		}
		writeComparisons(out, "Same", s.Same)
		writeComparisons(out, "Like", s.Like)
	}
	out.WriteString("\n},")
}

func writeComparisons(out *bytes.Buffer, name string, all [][]string) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s: []Comparison{", name)
	for _, c := range all {
		items := c[1:]
		if len(items) == 0 {
			items = c[:1]
		}
		fmt.Fprintf(out, "{Field: %q, Items: %#v},", c[0], items)
	}
	out.WriteString("},")
}
