package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// batched is x-batched-by: the operation that does the same for a list.
type batched struct {
	Operation string            `yaml:"operation"`
	Names     map[string]string `yaml:"names"` // path parameters that are properties of an element, under another name
}

func (b *batched) write(out *bytes.Buffer, fieldOf func(param string) string) {
	if b == nil {
		return
	}
	fmt.Fprintf(out, "\nBatched: &Batched{By: %q,", b.Operation)
	if len(b.Names) > 0 {
		out.WriteString("Names: []BatchName{")
		for _, param := range slices.Sorted(maps.Keys(b.Names)) {
			fmt.Fprintf(out, "{Field: %q, Element: %q},", fieldOf(param), b.Names[param])
		}
		out.WriteString("},")
	}
	out.WriteString("},")
}

// checkBatched checks every x-batched-by: what it names must take effect as a whole, and have a place for all parameters.
func (d *document) checkBatched() error {
	type known struct {
		operation
		method, answer string
	}
	all := map[string]known{}
	err := d.each(func(method, _ string, o operation) error {
		_, answer, err := answerOf(o.Responses)
		all[o.OperationID] = known{o, method, answer}
		return err
	})
	if err != nil {
		return err
	}
	return d.each(func(method, _ string, o operation) error {
		if o.Batched == nil {
			return nil
		}
		by, is := all[o.Batched.Operation]
		switch {
		case !is:
			return fmt.Errorf("x-batched-by names %q, which is no operation", o.Batched.Operation)
		case by.Batch != "atomic":
			return fmt.Errorf("x-batched-by names %s, which is not atomic: x-batch-atomicity is %q", by.OperationID, by.Batch)
		case by.method != method || by.answer != all[o.OperationID].answer || !slices.Equal(by.Tags, o.Tags):
			return fmt.Errorf("x-batched-by names %s, which does something else", by.OperationID)
		}
		left := maps.Clone(o.Batched.Names)
		for _, p := range o.Parameters {
			_, named := left[p.Name]
			delete(left, p.Name)
			if shared := slices.ContainsFunc(by.Parameters, func(q param) bool { return q.Name == p.Name }); shared == named {
				return fmt.Errorf("x-batched-by does not say where %s goes, which has to be a parameter of %s or named", p.Name, by.OperationID)
			}
		}
		if len(left) > 0 {
			return errors.New("x-batched-by has names for what is no parameter")
		}
		return nil
	})
}
