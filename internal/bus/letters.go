package bus

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// sendLetter stores a dead letter. One that the broker never takes is shortened step by step, and the whole of it
// kept in the object store, since what cannot be buried would come back for ever and hold up the others: first the
// beginning of its data and what headers fit, then why it died and where the rest is. The error is Permanent if not even
// that is taken.
//
// Of what must be kept whole nothing is stored if the object store does not take it: that is errNotKept.
func (b *Conn) sendLetter(ctx context.Context, dead *nats.Msg, id string, whole bool) error {
	id = shortID(id)
	original := &nats.Msg{Subject: dead.Subject, Data: dead.Data, Header: maps.Clone(dead.Header)} // without what sending adds
	err := b.Send(ctx, dead, id)
	if !Permanent(err) {
		return err
	}
	why := err
	name, err := b.keepOriginal(ctx, original, id)
	if err != nil {
		if !errors.Is(err, errNotKept) || whole {
			return err
		}
		b.metrics.gaveUp(ctx, lostOriginal)
		b.log.ErrorContext(ctx, "a dead letter does not fit into its stream, and the object store does not take the original: only a part of it is kept",
			"subject", dead.Subject, "position", delivery.Header(dead.Header).Get(headerDeadPosition), "bytes", len(dead.Data), "refused", why, "error", err)
	}
	for _, shorten := range []func(*nats.Msg) *nats.Msg{cut, bare} {
		small := shorten(dead)
		if name != "" {
			small.Header[headerDeadOriginal] = []string{name}
		}
		if err = b.Send(ctx, small, id); !Permanent(err) {
			return err
		}
	}
	return err
}

// shortID is a message id that fits into a header, the same each time.
func shortID(id string) string {
	const most = 256
	if len(id) <= most {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return strings.ToValidUTF8(id[:most/2], "") + "-" + hex.EncodeToString(sum[:])
}

// whyDead are the headers that the shortest letter keeps, and any other as well.
var whyDead = []string{
	headerDeadCode, headerDeadReason, headerDeadTime, headerDeadSubject, headerDeadPosition, headerDeadAttempts, headerDeadStatus, headerDeadTrace,
	headerDeadRequest,
}

// Bounds of a letter that is cut: of its data, of all of its headers and of each.
const mostCutData, mostCutHeaders, mostCutHeader = 64 << 10, 16 << 10, 2 << 10

// cut is the beginning of a letter's data, with its reasons and as many other headers as fit: those that tell of its death
// first, then the attributes of the event, then the rest.
func cut(dead *nats.Msg) *nats.Msg {
	small := shortened(dead, dead.Data[:min(len(dead.Data), mostCutData)])
	left := mostCutHeaders - natserr.HeaderSize(small.Header)
	rank := func(name string) int {
		switch lower := strings.ToLower(name); {
		case strings.HasPrefix(name, headerDead):
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

// bare is a letter without any of its data: what it was, why it died, and nothing that a stranger could make large.
func bare(dead *nats.Msg) *nats.Msg {
	const most = 256
	small := shortened(dead, nil)
	for name, values := range dead.Header {
		if (strings.EqualFold(name, "ce-id") || name == headerDeadMessageID) && len(values) == 1 && len(values[0]) <= most {
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

// shortened is a letter with only its reasons, and other data.
func shortened(dead *nats.Msg, data []byte) *nats.Msg {
	small := &nats.Msg{Subject: dead.Subject, Data: data, Header: nats.Header{}}
	for _, name := range whyDead {
		if values, ok := dead.Header[name]; ok {
			small.Header[name] = values
		}
	}
	small.Header[headerDeadCut] = []string{strconv.Itoa(len(dead.Data))}
	return small
}

// errNotKept says that the object store does not take an original, so that its letter has to do without.
var errNotKept = errors.New("the original is not kept")

// notKept wraps why.
func notKept(err error) error { return fmt.Errorf("%w: %w", errNotKept, err) }
