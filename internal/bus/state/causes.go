package state

import (
	"strings"

	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// Causes are ids of events as a header and an attribute have them. Of many, the last ones count.
func Causes(ids []string) string {
	if len(ids) > change.MostCauses {
		ids = ids[len(ids)-change.MostCauses:]
	}
	tokens := make([]string, len(ids))
	for i, id := range ids {
		tokens[i] = strings.ReplaceAll(id, " ", "_")
	}
	return strings.Join(tokens, " ")
}
