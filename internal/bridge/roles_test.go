package bridge

import (
	"slices"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// TestQueryService: every operation that reads is an endpoint, and none that writes.
func TestQueryService(t *testing.T) {
	t.Parallel()
	s := queryService("acme", "v1")
	reads := slices.DeleteFunc(factro.Operations(), factro.Operation.Writes)
	if len(s.Endpoints) != len(reads) || s.Cloud != "acme" || s.Version != "v1" {
		t.Errorf("the service has %d endpoints: %+v", len(s.Endpoints), s)
	}
	for _, e := range s.Endpoints {
		if e.Resource == "" || e.Metadata["method"] != "GET" || e.Metadata["path"] == "" || e.Metadata["confidence"] == "" {
			t.Errorf("the endpoint is %+v", e)
		}
	}
}
