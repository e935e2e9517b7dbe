package reconcile

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/internal/translate/compare"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/gap"
)

// Texts are compared by their hashes, so that a record takes little memory. Two texts among a hundred thousand have the
// same hash with a probability of one in billions.
var seed = maphash.MakeSeed()

func hash(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, p := range parts {
		_, _ = h.WriteString(p) // never fails
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// alikeHash is the hash of texts in the form for comparison. Ids are compared byte by byte.
func alikeHash(parts ...string) uint64 {
	for i, p := range parts {
		parts[i] = compare.Plain(p)
	}
	return hash(parts...)
}

// record is what is kept of one of factro's records.
type record struct {
	at              int64 // createdAt, in milliseconds
	id              uint64
	action, context uint64
	values          []uint64 // of the context, each with the action
	namesEntity     bool
	callback        uint64
	ours            bool // whether the callback has our path

	digest  [16]byte // of a record without an id
	ordinal int      // among the records of the same digest
	derived bool

	// own is the id of this record's event if other records, about something else, have the same id. shared is set in that
	// case, and common is the id that they share.
	own, common uint64
	shared      bool

	where place // the record itself
	by    means // the rule that matched it
}

func newRecord(s translate.Stored, ourPath string, where place) record {
	r := record{
		at: s.CreatedAt.UnixMilli(), action: alikeHash(s.Action), context: alikeHash(s.Action, s.Context.Plain()), namesEntity: s.Context.NamesEntity,
		where: where, digest: s.Digest, derived: s.Digest != [16]byte{},
	}
	if !r.derived {
		r.id, r.own = hash(s.ID()), hash(identity.OwnID(s.ID(), s.Data()))
	}
	for _, v := range s.Context.Values {
		r.values = append(r.values, alikeHash(s.Action, v))
	}
	if s.Callback != "" {
		r.callback, r.ours = hash(s.Callback), strings.HasSuffix(cleanPath(s.Callback), ourPath)
	}
	return r
}

// cleanPath is a URL without double or trailing slashes: the bridge accepts webhooks at such paths too.
func cleanPath(url string) string {
	return "/" + strings.Join(strings.FieldsFunc(url, func(r rune) bool { return r == '/' }), "/")
}

// number gives ids to the records without an id. Only an ordinal distinguishes equal ones. Of several equal records with
// one id, one remains. If they differ, the id belongs to a webhook or an object, and each of them gets a separate id.
func number(records []record) []record {
	count, have := map[[16]byte]int{}, map[uint64]bool{}
	share(records)
	for i := range records {
		if r := &records[i]; r.derived {
			r.ordinal = count[r.digest]
			count[r.digest]++
			r.id = hash(translate.DerivedID(r.digest, r.ordinal))
		}
	}
	return slices.DeleteFunc(records, func(r record) bool {
		again := have[r.id]
		have[r.id] = true
		return again
	})
}

// share finds the records whose id is also the id of records about something else.
func share(records []record) {
	type content struct {
		at              int64
		action, context uint64
	}
	first, shared := map[uint64]content{}, map[uint64]bool{}
	for _, r := range records {
		if r.derived {
			continue
		}
		c := content{r.at, r.action, r.context}
		if was, known := first[r.id]; !known {
			first[r.id] = c
		} else if was != c {
			shared[r.id] = true
		}
	}
	for i := range records {
		if r := &records[i]; !r.derived && shared[r.id] {
			r.id, r.common, r.shared = r.own, r.id, true
		}
	}
}

// onlyOurs drops the records of webhooks with another URL, and returns how many there were. A record without a URL may be
// ours. ownPath is set if there were webhooks with the bridge's own path before: in a quiet hour only other webhooks may
// have been called.
func onlyOurs(records []record, callback string, ownPath bool) ([]record, int) {
	known := func(r record) bool { return r.callback != 0 }
	isOurs := func(r record) bool { return r.ours }
	if callback != "" {
		want := hash(callback)
		isOurs = func(r record) bool { return r.callback == want }
	} else if !ownPath && !slices.ContainsFunc(records, isOurs) {
		return records, 0
	}
	all := len(records)
	records = slices.DeleteFunc(records, func(r record) bool { return known(r) && !isOurs(r) })
	return records, all - len(records)
}

func byTime(a, b record) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.where.offset, b.where.offset))
}

// streamEvent is what is kept of an event of the stream.
type streamEvent struct {
	at                      int64 // its time: the body's createdAt, or when it arrived
	id                      uint64
	action, context, entity uint64 // entity with the action
	namesEntity             bool   // whether it has an entity
	// ownID is set if its id comes from the delivered body, and was not generated.
	ownID bool
	// reconciled is set if it was published by a reconciliation, under its record's id.
	reconciled bool
	// spooled is set if it waited in a spool.
	spooled bool
	taken   bool
}

// newStreamEvent reads an event of the stream; false if it did not come from factro.
func newStreamEvent(m journal.Message) (streamEvent, bool) {
	if m.Broken != nil || strings.HasPrefix(m.Event.Type(), gap.TypePrefix) {
		return streamEvent{}, false
	}
	extension := func(name string) string {
		text, _ := m.Event.Extensions()[name].(string)
		return text
	}
	action := extension(attr.Action)
	if action == "" {
		action = strings.TrimPrefix(m.Event.Type(), events.EventTypePrefix)
	}
	_, entity, _ := strings.Cut(m.Event.Subject(), "/")
	at := m.Event.Time()
	if !factro.IsEventTime(at) {
		at = m.Time
	}
	return streamEvent{
		at: at.UnixMilli(), id: hash(m.Event.ID()), action: alikeHash(action), entity: alikeHash(action, entity), namesEntity: entity != "",
		context: alikeHash(action, compare.ContextOf(m.Event.Data()).Plain()),
		ownID:   translate.HasID(m.Event.Data(), m.Event.ID()), reconciled: extension(attr.Origin) == Origin,
		spooled: extension(attr.Origin) == "spool",
	}, true
}

// Origin is the attribute factroorigin of the events that a reconciliation publishes.
const Origin = "reconcile"

func millis(d time.Duration) int64 { return d.Milliseconds() }
