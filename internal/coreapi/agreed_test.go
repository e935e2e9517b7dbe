package coreapi

import "testing"

// TestAgreedValue: one wrong answer does not change the links of all other results.
func TestAgreedValue(t *testing.T) {
	t.Parallel()
	var a AgreedValue
	for n, test := range []struct{ answer, want string }{
		{"", ""}, {"a", "a"}, {"b", "a"}, {"b", "a"}, {"a", "a"}, {"b", "a"}, {"c", "a"}, {"b", "a"}, {"b", "a"}, {"", "a"}, {"b", "b"},
	} {
		if a.Observe(test.answer); a.Get() != test.want {
			t.Errorf("step %d: after %q it is %q, want %q", n, test.answer, a.Get(), test.want)
		}
	}
}
