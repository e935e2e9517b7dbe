package control

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Direction is a part of a cloud's work that can be paused alone.
type Direction string

// The directions.
const (
	Commands    Direction = "commands"     // nothing is called for commands
	WebhooksOut Direction = "webhooks-out" // webhooks are taken, and not published
	Queries     Direction = "queries"      // queries are refused
	Mirror      Direction = "mirror"       // the mirror is not updated
)

// Directions are all of them.
func Directions() []Direction { return []Direction{Commands, WebhooksOut, Queries, Mirror} }

// ParseDirection reads the name of a direction.
func ParseDirection(name string) (Direction, error) {
	if d := Direction(name); slices.Contains(Directions(), d) {
		return d, nil
	}
	return "", fmt.Errorf("%.40q is no direction; want commands, webhooks-out, queries or mirror", name)
}

// Pause says who has paused a direction of a cloud, when and why.
type Pause struct {
	Who  string    `json:"who"`
	When time.Time `json:"when"`
	Why  string    `json:"why,omitempty"`
}

// String is a pause in words: paused since … by … (…).
func (p Pause) String() string {
	text := "paused"
	if !p.When.IsZero() {
		text += " since " + p.When.UTC().Format(time.RFC3339)
	}
	if p.Who != "" {
		text += " by " + oneLine(p.Who)
	}
	if p.Why != "" {
		text += " (" + oneLine(p.Why) + ")"
	}
	return text
}

// oneLine has a blank in the place of each control character, since what people write may have several lines.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// Place is what is paused.
type Place struct {
	Cloud     string
	Direction Direction
}

const keyPrefix = "pause."

// KeyFilter matches the keys of all pauses.
const KeyFilter = keyPrefix + ">"

// Key is the key of a pause: pause.<cloud>.<direction>.
func (p Place) Key() string { return keyPrefix + p.Cloud + "." + string(p.Direction) }

// PlaceOf reads the key of a pause. ok says whether it is one.
func PlaceOf(key string) (p Place, ok bool) {
	rest, ok := strings.CutPrefix(key, keyPrefix)
	cloud, name, two := strings.Cut(rest, ".")
	direction, err := ParseDirection(name)
	return Place{cloud, direction}, ok && two && cloud != "" && err == nil
}
