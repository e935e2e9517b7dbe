package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// bucketStore is a key-value bucket on whose entries decisions depend: whether a command was carried out, who reconciles. The client
// library reads from any server that holds the bucket, and one that has stopped answers with the past, or not at all. Here
// the leader is asked, with a short time-out.
type bucketStore struct {
	bus    *Conn
	js     jetstream.JetStream // to write with
	bucket string
}

// record is an entry of a bucket.
type record struct {
	key      string
	value    []byte
	revision uint64
}

const (
	// readTimeout is how long a server may take to answer a read; a leader that does not is being replaced.
	readTimeout  = time.Second
	readAttempts = 3
)

// Headers of entries, as the client library writes them.
const (
	kvOperation = "KV-Operation"
	kvPurge     = "PURGE"
)

func (s bucketStore) stream() string { return "KV_" + s.bucket }

func (s bucketStore) subject(key string) string { return "$KV." + s.bucket + "." + key }

// get returns the entry of a key, or jetstream.ErrKeyNotFound.
func (s bucketStore) get(ctx context.Context, key string) (r record, err error) {
	for n := 1; ; n++ {
		r, deleted, err := s.last(ctx, key)
		switch {
		case err == nil && deleted:
			return record{}, jetstream.ErrKeyNotFound
		case err == nil, errors.Is(err, jetstream.ErrKeyNotFound), ctx.Err() != nil:
			return r, err
		case n == readAttempts || isDisconnect(err) || natserr.Of(err) == natserr.Permanent:
			if skipped, due := s.bus.samples.Due("read "+s.bucket, time.Now()); due {
				s.bus.log.WarnContext(ctx, "a bucket cannot be read from its leader", "bucket", s.bucket, "error", err, "not_logged", skipped)
			}
			return r, fmt.Errorf("bucket %s: %w", s.bucket, err)
		}
	}
}

// last asks once for the last message of a key, and says whether that is a deletion.
func (s bucketStore) last(ctx context.Context, key string) (r record, deleted bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if s.bus.health.isDirect(s.stream()) {
		return s.lastOfAny(ctx, key)
	}
	m, err := s.bus.FromLeader(ctx, s.stream(), map[string]any{"last_by_subj": s.subject(key)})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return r, false, jetstream.ErrKeyNotFound
	}
	if err != nil {
		return r, false, err
	}
	return record{key, m.Data, m.Sequence}, delivery.Header(m.Header).Get(kvOperation) != "", nil
}

// lastOfAny asks any server that holds the bucket. It is for an account that has no right to ask the leader.
func (s bucketStore) lastOfAny(ctx context.Context, key string) (r record, deleted bool, err error) {
	msg, err := s.bus.nc.RequestWithContext(ctx, s.bus.cfg.API("DIRECT.GET."+s.stream()+"."+s.subject(key)), nil)
	if err != nil {
		return r, false, err
	}
	sequence := msg.Header[jetstream.SequenceHeader]
	switch status := msg.Header.Get("Status"); {
	case len(sequence) == 0 && status == "404":
		return r, false, jetstream.ErrKeyNotFound
	case len(sequence) == 0:
		return r, false, fmt.Errorf("the broker answers %q %q", status, msg.Header.Get("Description"))
	}
	r = record{key: key, value: msg.Data}
	if r.revision, err = strconv.ParseUint(sequence[len(sequence)-1], 10, 64); err != nil {
		return r, false, fmt.Errorf("sequence of an entry: %w", err)
	}
	return r, msg.Header.Get(kvOperation) != "", nil
}

// create writes an entry that is not there, else the error is jetstream.ErrKeyExists.
func (s bucketStore) create(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, err := s.write(ctx, key, value, 0, nil)
	if !natserr.Conflict(err) {
		return revision, err
	}
	if r, deleted, lookErr := s.last(ctx, key); lookErr == nil && deleted {
		if revision, err = s.write(ctx, key, value, r.revision, nil); !natserr.Conflict(err) {
			return revision, err
		}
	}
	return 0, fmt.Errorf("%w: %w", jetstream.ErrKeyExists, err)
}

// update replaces a revision, else the error is jetstream.ErrKeyRevisionMismatch.
func (s bucketStore) update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	now, err := s.write(ctx, key, value, revision, nil)
	return now, mismatch(err)
}

// purge removes an entry of that revision.
func (s bucketStore) purge(ctx context.Context, key string, revision uint64) error {
	_, err := s.write(ctx, key, nil, revision, nats.Header{kvOperation: {kvPurge}, jetstream.MsgRollup: {jetstream.MsgRollupSubject}})
	return mismatch(err)
}

func mismatch(err error) error {
	if natserr.Conflict(err) {
		return fmt.Errorf("%w: %w", jetstream.ErrKeyRevisionMismatch, err)
	}
	return err
}

func (s bucketStore) write(ctx context.Context, key string, value []byte, revision uint64, header nats.Header) (uint64, error) {
	if header == nil {
		header = nats.Header{}
	}
	header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(revision, 10)}
	subject := s.subject(key)
	if prefix := s.bus.cfg.APIRoot(); prefix != jsAPI { // where the server, or an import, takes it to the bucket
		subject = prefix + "." + subject
	}
	ack, err := natserr.Publish(ctx, s.js, &nats.Msg{Subject: subject, Header: header, Data: value}, s.stream())
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// FromLeader reads a message of a stream from the server that leads it: what is there is there, and what is not is not.
func (b *Conn) FromLeader(ctx context.Context, stream string, request map[string]any) (*jetstream.RawStreamMsg, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	answer, err := b.nc.RequestWithContext(ctx, b.cfg.API("STREAM.MSG.GET."+stream), text)
	if err != nil {
		return nil, err
	}
	var got struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Header   []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	switch err := json.Unmarshal(answer.Data, &got); {
	case err != nil:
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	case got.Error != nil && got.Error.ErrorCode == noMessageFound:
		return nil, jetstream.ErrMsgNotFound
	case got.Error != nil:
		return nil, fmt.Errorf("read stream %s: %w", stream, got.Error)
	case got.Message == nil:
		return nil, fmt.Errorf("read stream %s: the broker's answer has no message", stream)
	}
	m := &jetstream.RawStreamMsg{Subject: got.Message.Subject, Sequence: got.Message.Sequence, Data: got.Message.Data, Time: got.Message.Time}
	if len(got.Message.Header) > 0 {
		if m.Header, err = nats.DecodeHeadersMsg(got.Message.Header); err != nil {
			return nil, fmt.Errorf("read stream %s: headers: %w", stream, err)
		}
	}
	return m, nil
}

// onlyDirect notes that the leader of a stream may not be asked, and says whether that is what was refused. Then any server
// answers for it, as before this right was needed.
func (b *Conn) onlyDirect(r refusal) bool {
	stream, ok := strings.CutPrefix(r.subject, b.cfg.API("STREAM.MSG.GET."))
	if !ok || !r.publish {
		return false
	}
	b.health.direct(stream)
	if skipped, due := b.samples.Due("direct "+stream, time.Now()); due {
		b.log.Warn("the leader of a stream may not be asked, so any server answers for it, and one that has stopped answers with the past; grant the permission",
			"permission", r.subject, "stream", stream, "not_logged", skipped)
	}
	return true
}
