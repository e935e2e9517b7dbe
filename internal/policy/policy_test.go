package policy

import (
	"strings"
	"testing"
)

func TestRefuses(t *testing.T) {
	t.Parallel()
	deletions := Rule{Operations: []string{"delete*"}}
	shop := Rule{Operations: []string{"*"}, Sources: []string{"//shop/*"}}
	for name, c := range map[string]struct {
		policy            Policy
		operation, source string
		want              string // part of the reason, "" if it is let through
	}{
		"no rules":                              {Policy{}, "deleteTask", "", ""},
		"denied":                                {Policy{Deny: []Rule{deletions}}, "deleteTask", "//shop/1", "deny[0], delete*"},
		"another operation":                     {Policy{Deny: []Rule{deletions}}, "updateTask", "//shop/1", ""},
		"a pattern is no part":                  {Policy{Deny: []Rule{deletions}}, "undeleteTask", "", ""},
		"exact name":                            {Policy{Deny: []Rule{{Operations: []string{"deleteTask"}}}}, "deleteTaskComment", "", ""},
		"denied source":                         {Policy{Deny: []Rule{shop}}, "createTask", "//shop/eu/1", "deny[0], * from //shop/*"},
		"other source":                          {Policy{Deny: []Rule{shop}}, "createTask", "//billing/1", ""},
		"plain command has no source":           {Policy{Deny: []Rule{shop}}, "createTask", "", ""},
		"any source matches plain ones":         {Policy{Deny: []Rule{{[]string{"*"}, []string{"*"}}}}, "createTask", "", "deny[0]"},
		"only allowed ones":                     {Policy{Allow: []Rule{{Operations: []string{"createTask"}}}}, "updateTask", "", "does not allow updateTask"},
		"allowed":                               {Policy{Allow: []Rule{{Operations: []string{"create*"}}}}, "createTask", "", ""},
		"allowed for a source only":             {Policy{Allow: []Rule{shop}}, "createTask", "//billing", "does not allow"},
		"deny wins":                             {Policy{Allow: []Rule{{Operations: []string{"*"}}}, Deny: []Rule{deletions}}, "deleteTask", "", "deny[0]"},
		"the second rule":                       {Policy{Deny: []Rule{shop, deletions}}, "deleteTask", "//billing", "deny[1]"},
		"a star inside":                         {Policy{Deny: []Rule{{Operations: []string{"create*Task"}}}}, "createSubTask", "", "deny[0]"},
		"a star inside needs both ends":         {Policy{Deny: []Rule{{Operations: []string{"create*Task"}}}}, "createTasks", "", ""},
		"begin and end do not share characters": {Policy{Deny: []Rule{{Operations: []string{"aba*aba"}}}}, "ababa"[:4], "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.policy.Refuses(c.operation, c.source)
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%s of %q: %q, want %q", c.operation, c.source, got, c.want)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	p := Policy{
		Allow: []Rule{{Operations: []string{"createTask", "creat Task"}}, {}},
		Deny:  []Rule{{Operations: []string{"remove*"}, Sources: []string{""}}},
	}
	err := p.Validate([]string{"createTask", "deleteTask"})
	if err == nil {
		t.Fatal("it is valid")
	}
	for _, want := range []string{
		`allow[0].operations[1]: "creat Task" matches no command`, "allow[1].operations: none is given", `deny[0].operations[0]: "remove*" matches no command`,
		"deny[0].sources[0]: is empty",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
	if got := strings.Count(err.Error(), "\n"); got != 3 {
		t.Errorf("%d more mistakes:\n%v", got-3, err)
	}
	if err := (Policy{Deny: []Rule{{Operations: []string{"delete*"}}}}).Validate([]string{"deleteTask"}); err != nil {
		t.Error(err)
	}
}
