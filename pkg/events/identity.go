package events

import (
	"net/url"
)

// identitySeparator stands between the source and the id of an identity. It is no UTF-8, so neither of them has it, and no
// id alone can be taken for a source and an id.
const identitySeparator = "\xff"

// Identity distinguishes a command from all other commands of its cloud, and is the same for every delivery of it. It is made of
// the source and the id; of a plain JSON command it is the id alone. It is not for people, and its form may change.
func (c Command) Identity() string {
	source := c.Source()
	if source == "" {
		return c.Event.ID()
	}
	return source + identitySeparator + c.Event.ID()
}

// Source is the source of the command if its sender gave one, and "" for a plain JSON command.
func (c Command) Source() string {
	if c.Plain || c.Event.Context == nil {
		return ""
	}
	return c.Event.Source()
}

// sourceOnWire is a source as its receiver reads it.
func sourceOnWire(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return source
	}
	return u.String()
}
