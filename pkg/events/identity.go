package events

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// identitySeparator stands between the source and the id of an identity. It is no UTF-8, so neither of them has it, and no
// id alone can be taken for a source and an id.
const identitySeparator = "\xff"

// Identity tells a command from all other commands of its cloud, and is the same for every delivery of it. It is made of
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

// sourceDigits is the length of a digest of a source: short enough for an id that people read, and too long to find a
// second source for it.
const sourceDigits = 16

// SourceDigest is a short digest of a source, in hexadecimal digits, and "" for none. It stands in the ids of results and in
// message ids, where a whole URI would be too long.
func SourceDigest(source string) string {
	if source == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(source))
	return hex.EncodeToString(sum[:])[:sourceDigits]
}

// BodyDigest is a short digest of an event's data, in hexadecimal digits.
func BodyDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:sourceDigits]
}

// OwnID is the id of an event whose id is that of another event already, with other data: what a webhook's body calls its id
// may be that of a webhook or of a task. It is the same each time for the same data.
func OwnID(id string, data []byte) string { return id + "." + BodyDigest(data) }

// Caused tells whether an event is a result of the command with this source and id. The source of a plain JSON command is
// "". Results of earlier bridges name no source, and count for every source.
func Caused(e event.Event, source, id string) bool {
	extensions := e.Extensions()
	if cause, ok := extensions[attr.CausationID].(string); !ok || cause != id {
		return false
	}
	cause, named := extensions[attr.CausationSource].(string)
	_, placed := extensions[attr.CausationPosition]
	if !named && !placed { // an older bridge wrote it
		return true
	}
	return cause == source
}

// sourceOnWire is a source as its receiver reads it.
func sourceOnWire(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return source
	}
	return u.String()
}
