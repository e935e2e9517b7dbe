package events

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// DefaultPrefix stands at the front of all subjects unless the bridge is configured otherwise.
const DefaultPrefix = "factro"

// Prefix is the first token of all subjects of one bridge, such as "factro". Its methods build the names of the
// contract. They do not check their arguments: cloud, resource and operation are names that the configuration or the
// table of operations has proven; ids and actions, which come from outside, go through Token.
type Prefix string

// Event is the subject of an event: factro.event.<cloud>.<resource>.<id>.<Action>.
func (p Prefix) Event(cloud, resource, id, action string) string {
	return string(p) + ".event." + cloud + "." + Token(resource) + "." + Token(id) + "." + Token(action)
}

// Command is the subject of a command: factro.command.<cloud>.<resource>.<operation>.
func (p Prefix) Command(cloud, resource, operation string) string {
	return string(p) + ".command." + cloud + "." + resource + "." + operation
}

// Result is the subject of a result: factro.result.<cloud>.<resource>.<operation>.<outcome>.
func (p Prefix) Result(cloud, resource, operation string, outcome Outcome) string {
	return string(p) + ".result." + cloud + "." + Token(resource) + "." + Token(operation) + "." + string(outcome)
}

// DeadCommand is the subject of a command that was given up: factro.dead.command.<cloud>.<resource>.<operation>.
func (p Prefix) DeadCommand(cloud, resource, operation string) string {
	return string(p) + ".dead.command." + cloud + "." + Token(resource) + "." + Token(operation)
}

// DeadWebhook is the subject of a webhook body that could not be made into an event: factro.dead.webhook.<cloud>.
func (p Prefix) DeadWebhook(cloud string) string {
	return string(p) + ".dead.webhook." + cloud
}

// EventStream is the name of the stream that holds the events, FACTRO_EVENTS.
func (p Prefix) EventStream() string { return p.stream("EVENTS") }

// CommandStream is the name of the work queue of commands, FACTRO_COMMANDS.
func (p Prefix) CommandStream() string { return p.stream("COMMANDS") }

// ResultStream is the name of the stream that holds the results, FACTRO_RESULTS.
func (p Prefix) ResultStream() string { return p.stream("RESULTS") }

// DeadStream is the name of the stream that holds the dead letters, FACTRO_DEAD.
func (p Prefix) DeadStream() string { return p.stream("DEAD") }

func (p Prefix) stream(kind string) string { return strings.ToUpper(string(p)) + "_" + kind }

// Address is what a command's subject says.
type Address struct{ Cloud, Resource, Operation string }

// ParseCommand reads the subject of a command, or says what is wrong with it.
func (p Prefix) ParseCommand(subject string) (Address, error) {
	t := strings.Split(subject, ".")
	if len(t) != 5 || t[0] != string(p) || t[1] != "command" || slices.Contains(t, "") {
		return Address{}, fmt.Errorf("subject %s is not of the form %s", quote(subject), p.Command("<cloud>", "<resource>", "<operation>"))
	}
	return Address{Cloud: t[2], Resource: t[3], Operation: t[4]}, nil
}

// Token returns s if it can be a token of a subject as it stands, which is 1 to 128 bytes of [A-Za-z0-9_-], else "_".
// The true value is still in the event.
func Token(s string) string {
	if len(s) < 1 || len(s) > 128 {
		return "_"
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return "_"
		}
	}
	return s
}

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
