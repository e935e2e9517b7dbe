// Package plural writes numbers of things as people write them: 1 event, 2 events.
//
// In: a number and a noun or two forms of a verb. Out: the text. It imports none of the bridge.
package plural

import (
	"strconv"
	"strings"
)

// irregular are the plurals of the words that we count and that do not just take an s.
var irregular = map[string]string{
	"entry": "entries", "query": "queries", "reply": "replies", "retry": "retries", "directory": "directories", "address": "addresses",
}

// Of is a number of things: 1 dead letter, 2 dead letters.
func Of[N int | int64 | uint64](n N, noun string) string {
	digits := strconv.FormatInt(int64(n), 10)
	return digits + " " + Choose(n, noun, many(noun))
}

// Choose is the form for a number: was or were, it or them.
func Choose[N int | int64 | uint64](n N, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}

func many(noun string) string {
	begin, last := "", noun
	if i := strings.LastIndexByte(noun, ' '); i >= 0 {
		begin, last = noun[:i+1], noun[i+1:]
	}
	if form, ok := irregular[last]; ok {
		return begin + form
	}
	return noun + "s"
}
