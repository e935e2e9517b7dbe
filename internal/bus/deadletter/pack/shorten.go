package pack

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// ShortID is a message id that fits into a header, the same each time.
func ShortID(id string) string {
	const most = 256
	if len(id) <= most {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return strings.ToValidUTF8(id[:most/2], "") + "-" + hex.EncodeToString(sum[:])
}

// reasons are the headers that even the shortest dead letter keeps.
var reasons = []string{
	topology.HeaderDeadCode, topology.HeaderDeadReason, topology.HeaderDeadTime, topology.HeaderDeadSubject,
	topology.HeaderDeadPosition, topology.HeaderDeadAttempts, topology.HeaderDeadStatus, topology.HeaderDeadTrace,
	topology.HeaderDeadRequest,
}

// Bounds of a dead letter that is cut: of its data, of all of its headers and of each.
const mostCutData, mostCutHeaders, mostCutHeader = 64 << 10, 16 << 10, 2 << 10

// Cut keeps the beginning of the data, the reasons and as many other headers as fit: first those of the dead letter, then the
// attributes of the event, then the rest.
func Cut(dead *nats.Msg) *nats.Msg {
	small := shortened(dead, dead.Data[:min(len(dead.Data), mostCutData)])
	left := mostCutHeaders - natserr.HeaderSize(small.Header)
	rank := func(name string) int {
		switch lower := strings.ToLower(name); {
		case strings.HasPrefix(name, topology.HeaderDead):
			return 0
		case strings.HasPrefix(lower, "ce-"), lower == "content-type":
			return 1
		}
		return 2
	}
	names := slices.SortedFunc(maps.Keys(dead.Header), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
	for _, name := range names {
		size := natserr.HeaderSize(nats.Header{name: dead.Header[name]})
		if _, has := small.Header[name]; has || size > min(left, mostCutHeader) {
			continue
		}
		small.Header[name] = dead.Header[name]
		left -= size
	}
	return small
}

// Bare drops all of the data: it keeps what the message was and why it was given up, and nothing that a sender could make
// large.
func Bare(dead *nats.Msg) *nats.Msg {
	const most = 256
	small := shortened(dead, nil)
	for name, values := range dead.Header {
		if (strings.EqualFold(name, "ce-id") || name == topology.HeaderDeadMessageID) && len(values) == 1 && len(values[0]) <= most {
			small.Header[name] = values
		}
	}
	for name, values := range small.Header {
		if len(values) > 0 && len(values[0]) > most {
			small.Header[name] = []string{values[0][:most]}
		}
	}
	return small
}

// shortened is a dead letter with only its reasons, and other data.
func shortened(dead *nats.Msg, data []byte) *nats.Msg {
	small := &nats.Msg{Subject: dead.Subject, Data: data, Header: nats.Header{}}
	for _, name := range reasons {
		if values, ok := dead.Header[name]; ok {
			small.Header[name] = values
		}
	}
	small.Header[topology.HeaderDeadCut] = []string{strconv.Itoa(len(dead.Data))}
	return small
}
