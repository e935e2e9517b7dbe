package reconcile

import "testing"

// TestAlikeHash: texts are held as people compare them, with their borders; ids byte by byte.
func TestAlikeHash(t *testing.T) {
	t.Parallel()
	const composed, decomposed = "TaskGel\u00f6scht", "TaskGelo\u0308scht"
	if alikeHash(composed, "x") != alikeHash(decomposed, "x ") || alikeHash("ab", "c") == alikeHash("a", "bc") {
		t.Error("equal texts differ, or different ones are equal")
	}
	if hash(composed) == hash(decomposed) {
		t.Error("two ids are one")
	}
}
