package change

import (
	"strings"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// What happened to an object, the last token of the subject of a change and of the type of its event.
const (
	Created = "created"
	Updated = "updated"
	Deleted = "deleted"
)

// Headers of an entry of the state. They are set by the bridge and are always there, unless said otherwise.
const (
	// HeaderReadAt is when the bridge began to read the object at factro, by its clock, in RFC 3339 format.
	HeaderReadAt = "Factro-Read-At"
	// HeaderOrigin is why it read the object: [OriginEvent], [OriginSnapshot] or [OriginVerify].
	HeaderOrigin = "Factro-Origin"
	// HeaderCause has the ids of the events that led to it, separated by blanks, at most [MostCauses]. It is absent for other origins.
	HeaderCause = "Factro-Cause"
	// HeaderChange is the sequence of the change in its stream that led to this entry. It is absent if there was none, as in the first
	// snapshot.
	HeaderChange = "Factro-Change"
	// HeaderStatus is in the delete marker of an object that factro does not show: 404 if it is gone, 403 if the key may not read it.
	HeaderStatus = "Factro-Status"
	// HeaderDropped is "true" if the entry is not all that factro answered: fields are missing that the bridge's configuration drops, or
	// the entry was made of a change after a crash. It is absent otherwise.
	HeaderDropped = "Factro-Dropped"
)

// Headers of a change.
const (
	// HeaderStateFrom is the revision of the entry of the state that the change replaces, 0 if there was none.
	HeaderStateFrom = "Factro-State-From"
	// HeaderWhole is "true" if before and after hold whole objects. Else they hold what has changed.
	HeaderWhole = "Factro-Whole"
)

// Why the bridge read an object.
const (
	OriginEvent    = "event"    // an event said that it may have changed
	OriginSnapshot = "snapshot" // it was not known yet
	OriginVerify   = "verify"   // it was compared with factro, and no event had announced the difference
)

// MostCauses is how many ids of events [HeaderCause] and the attribute causationid have at most.
const MostCauses = 16

// Bucket is the name of the key-value bucket that holds the state of a cloud's objects, such as FACTRO_STATE_ACME.
func Bucket(p events.Prefix, cloud string) string { return named(p, "STATE", cloud) }

// Key is the key of an object in its bucket: <cloud>.<resource>.<id>.
func Key(cloud, resource, id string) string {
	return cloud + "." + events.Token(resource) + "." + events.Token(id)
}

// Stream is the name of the stream that holds the changes of a cloud, such as FACTRO_CHANGES_ACME.
func Stream(p events.Prefix, cloud string) string { return named(p, "CHANGES", cloud) }

// Subject is the subject of a change: factro.change.<cloud>.<resource>.<id>.<what>.
func Subject(p events.Prefix, cloud, resource, id, what string) string {
	return string(p) + ".change." + cloud + "." + events.Token(resource) + "." + events.Token(id) + "." + what
}

// Filter matches changes. Each argument is a name or [events.Any]: Filter("factro", "acme", "task", events.Any, Updated) is
// factro.change.acme.task.*.updated.
func Filter(p events.Prefix, cloud, resource, id, what string) string {
	return string(p) + ".change." + wild(cloud) + "." + wild(resource) + "." + wild(id) + "." + wild(what)
}

func wild(name string) string {
	if name == events.Any {
		return name
	}
	return events.Token(name)
}

func named(p events.Prefix, kind, cloud string) string {
	return strings.ToUpper(string(p)) + "_" + kind + "_" + strings.ToUpper(cloud)
}
