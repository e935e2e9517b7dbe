package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Policy says which commands are let through. A rule of Deny wins over one of Allow. If Allow has rules, only what one of them
// matches is let through. The zero value lets everything through.
type Policy struct{ Allow, Deny []Rule }

// Rule matches commands by patterns: one of Operations, and one of Sources if there are any. In a pattern, * stands for any text,
// and everything else for itself.
type Rule struct{ Operations, Sources []string }

// Refuses returns why a command of a source is refused, or "". A plain command has the source "".
func (p Policy) Refuses(operation, source string) string {
	for i, r := range p.Deny {
		if r.matches(operation, source) {
			return fmt.Sprintf("the policy of this cloud refuses %s: rule deny[%d], %s", operation, i, r)
		}
	}
	if len(p.Allow) == 0 || slices.ContainsFunc(p.Allow, func(r Rule) bool { return r.matches(operation, source) }) {
		return ""
	}
	return fmt.Sprintf("the policy of this cloud does not allow %s: no rule of allow matches the operation and its source", operation)
}

func (r Rule) matches(operation, source string) bool {
	return anyMatches(r.Operations, operation) && (len(r.Sources) == 0 || anyMatches(r.Sources, source))
}

func (r Rule) String() string {
	text := strings.Join(r.Operations, ", ")
	if len(r.Sources) > 0 {
		text += " from " + strings.Join(r.Sources, ", ")
	}
	return text
}

func anyMatches(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return Matches(pattern, text) })
}

// Matches says whether a pattern matches a text.
func Matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(text, first) {
		return false
	}
	text = text[len(first):]
	for _, part := range parts[1 : len(parts)-1] { // each as early as possible leaves the most for the others
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, last)
}

// Validate reports every mistake with its place, such as deny[0].operations[1]. A pattern that matches none of the operations is
// one: a rule that is misspelt would let through what it is meant to refuse.
func (p Policy) Validate(operations []string) error {
	var errs []error
	for _, list := range []struct {
		name  string
		rules []Rule
	}{{"allow", p.Allow}, {"deny", p.Deny}} {
		for i, r := range list.rules {
			errs = append(errs, r.validate(fmt.Sprintf("%s[%d]", list.name, i), operations))
		}
	}
	return errors.Join(errs...)
}

func (r Rule) validate(path string, operations []string) error {
	var errs []error
	if len(r.Operations) == 0 {
		errs = append(errs, fmt.Errorf("%s.operations: none is given; want names of commands or patterns such as delete*", path))
	}
	for i, pattern := range r.Operations {
		if !slices.ContainsFunc(operations, func(name string) bool { return Matches(pattern, name) }) {
			errs = append(errs, fmt.Errorf("%s.operations[%d]: %.80q matches no command; * stands for any text, and \"bridge contract operations\" lists the names", path, i, pattern))
		}
	}
	for i, pattern := range r.Sources {
		if pattern == "" {
			errs = append(errs, fmt.Errorf("%s.sources[%d]: is empty; want the ce-source of a sender, or a pattern such as //shop/*", path, i))
		}
	}
	return errors.Join(errs...)
}
