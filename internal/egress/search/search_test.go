package search

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/translate/compare"
)

// TestCandidateBounds: a search keeps a limited part of a list.
func TestCandidateBounds(t *testing.T) {
	t.Parallel()
	var seen Candidates
	for range maxCandidates + 1 {
		seen.add([]compare.Item{{Likeness: compare.Equal, ID: "x"}}, nil)
	}
	large := json.RawMessage(strings.Repeat("x", maxCandidateBytes/2))
	var kept Candidates
	for range 4 {
		kept.add([]compare.Item{{Likeness: compare.Equal, ID: "x", JSON: large}, {Likeness: compare.Doubtful, ID: "y", JSON: large}}, nil)
	}
	if len(kept.Equal) != 1 || !kept.More || len(kept.Doubts) == 0 || kept.Doubts[0].JSON != nil {
		t.Errorf("%d large ones and %d doubts are kept", len(kept.Equal), len(kept.Doubts))
	}
	if len(seen.Equal) != maxCandidates || !seen.More || !strings.Contains(seen.Doubt(), "more than 100") {
		t.Errorf("%d are kept: %s", len(seen.Equal), seen.Doubt())
	}
}
