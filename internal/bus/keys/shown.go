package keys

import (
	"encoding/json"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Stream is where the entries of a cloud are, for those who only read them.
func Stream(p events.Prefix, cloud string) string { return "KV_" + topology.KeysBucket(p, cloud) }

// ByKey is the filter for the entries of an external key, of whatever kind of object, and ByID that for the entries of an object.
func ByKey(p events.Prefix, cloud, key string) string {
	return "$KV." + topology.KeysBucket(p, cloud) + "." + keySubject(events.Any, key)
}

// ByID is described with [ByKey].
func ByID(p events.Prefix, cloud, id string) string {
	return "$KV." + topology.KeysBucket(p, cloud) + "." + idSubject(events.Any, id)
}

// Decode reads an entry as it is stored. It is not there if it was deleted.
func Decode(data []byte) (e Entry, there bool) {
	if len(data) == 0 || json.Unmarshal(data, &e) != nil || e.Key == "" {
		return Entry{}, false
	}
	return e, true
}
