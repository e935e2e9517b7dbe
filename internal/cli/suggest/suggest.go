package suggest

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

// DidYouMean asks whether the nearest of the names was meant, if one is near: at most two characters are missing, added or other.
func DidYouMean(given string, names []string) string {
	const far = 3
	best, least := "", far
	for _, name := range names {
		if d := levenshtein.ComputeDistance(strings.ToLower(given), strings.ToLower(name)); d < least {
			best, least = name, d
		}
	}
	if best == "" || least >= len(given) {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}
