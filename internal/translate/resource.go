package translate

import (
	"strings"
	"unicode"
)

// resources are factro's resource names, each as the words that an action begins with.
var resources = map[string]bool{
	"task": true, "project": true, "package": true, "user": true, "company": true, "contact": true,
	"appointment": true, "team": true, "document": true, "comment": true, "note": true, "work-record": true,
	"todo-list": true, "custom-view": true, "template": true, "absence": true,
}

// ResourceOf returns the resource that an action is about: the longest of factro's resource names that the action's
// words begin with, else its first word in lower case. TaskStateChanged is about a task, WorkRecordCreated about a
// work-record, MilestoneReached about a milestone. It is a pure function of the name, not a list of actions: factro has
// about 300 of them and adds more.
func ResourceOf(action string) string {
	first, rest := cutWord(action)
	second, _ := cutWord(rest)
	if two := first + "-" + second; resources[two] {
		return two
	}
	return first
}

// cutWord splits the first word off a camel-case name and returns it in lower case. A word ends before an upper-case
// letter that follows another letter or digit, and a run of capitals is one word but for the last, as in HTTPThing;
// what is no letter or digit ends a word too and belongs to none.
func cutWord(s string) (word, rest string) {
	r := []rune(strings.TrimLeftFunc(s, notAlphanumeric))
	end := 0
	for end < len(r) && !notAlphanumeric(r[end]) {
		if end > 0 && unicode.IsUpper(r[end]) {
			nextIsLower := end+1 < len(r) && unicode.IsLower(r[end+1])
			if !unicode.IsUpper(r[end-1]) || nextIsLower {
				break
			}
		}
		end++
	}
	return strings.ToLower(string(r[:end])), string(r[end:])
}

func notAlphanumeric(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
