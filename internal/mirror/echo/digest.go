package echo

import (
	"encoding/json"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// digest stands for the value of a field: equal values have equal ones, however they are written. Values themselves are not kept,
// since an answer can be large.
type digest uint64

// unknown stands for a value that is not known. No value has it.
const unknown digest = 0

// object has the digests of an object's fields. A field that is null is left out: factro may leave it out as well.
type object map[string]digest

// digester makes digests, which are of use only to the one that made them.
type digester struct{ seed maphash.Seed }

func (d digester) of(value json.RawMessage) digest {
	sum := digest(maphash.Bytes(d.seed, normal(value)))
	return max(sum, unknown+1)
}

// null is the digest of a field that is null or absent.
func (d digester) null() digest { return d.of(json.RawMessage("null")) }

// objectOf makes an object of fields, without some of them.
func (d digester) objectOf(fields map[string]json.RawMessage, without []string) object {
	out := make(object, len(fields))
	for name, value := range fields {
		if !isNull(value) && !slices.Contains(without, name) {
			out[name] = d.of(value)
		}
	}
	return out
}

func (d digester) field(o object, name string) digest {
	if value, has := o[name]; has {
		return value
	}
	return d.null()
}

func isNull(value json.RawMessage) bool { return len(value) == 0 || string(value) == "null" }

// normal is a value in one form. A command may write a time in another form than factro's answers.
func normal(value json.RawMessage) []byte {
	if at, ok := instant(value); ok && value[0] == '"' {
		return at.AppendFormat(nil, time.RFC3339Nano)
	}
	canonical, err := jsontext.Canonical(value)
	if err != nil {
		return value
	}
	return canonical
}

// instant reads a time as factro writes it: as text, or as milliseconds.
func instant(value json.RawMessage) (time.Time, bool) {
	if text, isText := jsontext.String(string(value)); isText {
		if len(text) < len("2006-01-02T15:04:05Z") || text[4] != '-' {
			return time.Time{}, false
		}
		at, err := time.Parse(time.RFC3339, text)
		return at.UTC(), err == nil
	}
	ms, err := strconv.ParseInt(strings.TrimSpace(string(value)), 10, 64)
	return time.UnixMilli(ms).UTC(), err == nil
}

// stamps are the fields in which factro writes when an object was changed, birthdays those for when it was created.
var (
	stamps    = []string{"changeDate", "updatedAt"}
	birthdays = []string{"creationDate", "createdAt"}
)

// timeIn is the time in the first of some fields that has one, the zero time if none has.
func timeIn(fields map[string]json.RawMessage, names []string) time.Time {
	for _, name := range names {
		if at, ok := instant(fields[name]); ok {
			return at
		}
	}
	return time.Time{}
}
