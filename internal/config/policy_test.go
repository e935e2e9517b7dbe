package config

import (
	"strings"
	"testing"
)

// TestPolicyOfSample: the configuration to begin with denies deletions and nothing else.
func TestPolicyOfSample(t *testing.T) {
	t.Parallel()
	c, _, err := Default().read(Sample, nil)
	if err != nil {
		t.Fatal(err)
	}
	rules := c.Clouds[0].Policy.rules()
	if rules.Refuses("deleteTask", "//shop") == "" || rules.Refuses("updateTask", "//shop") != "" {
		t.Errorf("the sample has the rules %+v", rules)
	}
}

// TestPolicyRules: a rule is a text or a group, and a mistake in it names its line and its setting.
func TestPolicyRules(t *testing.T) {
	t.Parallel()
	const begin = "clouds:\n  - name: acme\n    webhook: {header: X, secrets: [{value: abcdefghijklmnop}]}\n    api: {key: {value: key}}\n    policy:\n"
	c, wrong, err := Default().read([]byte(begin+"      deny: [deleteTask, {operations: [create*, update*], sources: [\"//shop/*\"]}]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := wrong.err(); err != nil {
		t.Fatal(err)
	}
	rules := c.Clouds[0].Policy.rules()
	for _, test := range []struct {
		operation, source string
		refused           bool
	}{{"deleteTask", "", true}, {"createTask", "//shop/eu", true}, {"createTask", "//billing", false}} {
		if (rules.Refuses(test.operation, test.source) != "") != test.refused {
			t.Errorf("%s of %s is refused: %t", test.operation, test.source, !test.refused)
		}
	}
	_, wrong, err = Default().read([]byte(begin+"      allow: [createTask]\n      deny:\n        - erase*\n        - sources: [x]\n        - [a]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	text := wrong.err().Error()
	for _, want := range []string{
		`line 8: clouds[0].policy.deny[0].operations[0]: "erase*" matches no command`, "line 9: clouds[0].policy.deny[1].operations: none is given",
		"line 10: clouds[0].policy.deny[2]: want",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
