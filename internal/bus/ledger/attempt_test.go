package ledger

import "testing"

func TestLimit(t *testing.T) {
	t.Parallel()
	if got := limit("äöü", 3); got != "ä…" {
		t.Errorf("limit cut to %q", got)
	}
}
