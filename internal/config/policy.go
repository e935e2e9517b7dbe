package config

import (
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/policy"
)

// Policy says which commands of a cloud are let through. A rule of Deny wins; if Allow has rules, only what they match is let
// through.
type Policy struct {
	Allow []PolicyRule `yaml:"allow" envPrefix:"ALLOW_"`
	Deny  []PolicyRule `yaml:"deny" envPrefix:"DENY_"`
}

// PolicyRule matches commands by patterns of their operations and, if there are any, of their sources. In a file, a text alone is
// a rule with this operation.
type PolicyRule struct {
	Operations []string `yaml:"operations" env:"OPERATIONS"`
	Sources    []string `yaml:"sources" env:"SOURCES"`
}

func (r *PolicyRule) setText(operation string) { *r = PolicyRule{Operations: []string{operation}} }

func (p Policy) rules() policy.Policy {
	rules := func(list []PolicyRule) []policy.Rule {
		var out []policy.Rule
		for _, r := range list {
			out = append(out, policy.Rule{Operations: r.Operations, Sources: r.Sources})
		}
		return out
	}
	return policy.Policy{Allow: rules(p.Allow), Deny: rules(p.Deny)}
}

func (p Policy) validate() error {
	var names []string
	for _, op := range factro.Operations() {
		if op.Writes() {
			names = append(names, op.Name)
		}
	}
	return prefixed("policy.", p.rules().Validate(names))
}
