package suggest

import (
	"fmt"
	"strings"
)

// DidYouMean asks whether the nearest of the names was meant, if one is near.
func DidYouMean(given string, names []string) string {
	const far = 3
	best, least := "", far
	for _, name := range names {
		if d := edits(strings.ToLower(given), strings.ToLower(name)); d < least {
			best, least = name, d
		}
	}
	if best == "" || least >= len(given) {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// edits is how many characters lie between two words: the distance of Damerau and Levenshtein, in its simple form.
func edits(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range y {
		rows[0][j+1] = j + 1
	}
	for i := range x {
		for j := range y {
			change := 1
			if x[i] == y[j] {
				change = 0
			}
			d := min(rows[i][j+1]+1, rows[i+1][j]+1, rows[i][j]+change)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] { // two that stand the other way round
				d = min(d, rows[i-1][j-1]+1)
			}
			rows[i+1][j+1] = d
		}
	}
	return rows[len(x)][len(y)]
}
