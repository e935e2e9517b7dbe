package agreed

import "testing"

// TestValue: one wrong answer does not change the links of all other results.
func TestValue(t *testing.T) {
	t.Parallel()
	var a Value
	for n, test := range []struct{ answer, want string }{
		{"", ""}, {"a", "a"}, {"b", "a"}, {"b", "a"}, {"a", "a"}, {"b", "a"}, {"c", "a"}, {"b", "a"}, {"b", "a"}, {"", "a"}, {"b", "b"},
	} {
		if a.Observe(test.answer); a.Get() != test.want {
			t.Errorf("step %d: after %q it is %q, want %q", n, test.answer, a.Get(), test.want)
		}
	}
}
