package stored

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/subject"
)

const (
	// readTimeout bounds the reading of an answer from the object store, if its context has no deadline.
	readTimeout = time.Hour
	// chunksAtOnce bounds how many parts of an object are fetched ahead of its reader.
	chunksAtOnce = 16
	// readAttempts bounds how often a part of an object is asked for. The server that answers may be a little behind.
	readAttempts = 6
)

// object is the content of an object, which it reads without a consumer and checks against its digest.
type object struct {
	ctx     context.Context //nolint:containedctx // that of the query: the reading goes on while it lasts
	release context.CancelFunc

	chunks   Reader
	subject  string // of the chunks
	next     uint64 // the sequence to go on at
	data     []byte // what is fetched and not read yet
	fetched  [][]byte
	size     int64
	left     uint64 // bytes that are not read yet
	sum      hash.Hash
	wantsSum []byte
	err      error // how the reading has ended
}

// OpenObject opens the content of an object of an object store. It follows no links: those lead to what nobody has referred
// to. The reading lasts as long as ctx does. The reader has a method Size() int64, which returns the number of bytes in all.
func OpenObject(ctx context.Context, js jetstream.JetStream, bucket, name string) (io.ReadCloser, error) {
	failed := func(err error) error { return fmt.Errorf("object %s/%s of the answer: %w", bucket, name, err) }
	if !subject.IsToken(bucket) {
		return nil, fmt.Errorf("object store %s of the answer: this is no name of one", binding.Quote(bucket))
	}
	o := &object{
		release: func() {}, chunks: Reader{JS: js, Stream: "OBJ_" + bucket}, sum: sha256.New(),
	}
	if _, ok := ctx.Deadline(); !ok {
		ctx, o.release = context.WithTimeout(ctx, readTimeout)
	}
	o.ctx = ctx
	info, err := o.info(bucket, name)
	switch {
	case errors.Is(err, ErrNoStream):
		err = fmt.Errorf("object store %s of the answer: %w", bucket, err)
	case errors.Is(err, ErrNone):
		err = failed(jetstream.ErrObjectNotFound)
	case err != nil:
		err = failed(err)
	case info.Deleted:
		err = failed(jetstream.ErrObjectNotFound)
	case info.Opts != nil && info.Opts.Link != nil:
		err = failed(errors.New("it is a link"))
	default:
		o.subject, o.left = "$O."+bucket+".C."+info.NUID, info.Size
		o.size = int64(min(info.Size, math.MaxInt64))
		text, isSum := strings.CutPrefix(info.Digest, "SHA-256=")
		o.wantsSum, err = base64.URLEncoding.DecodeString(text)
		if err != nil || !isSum || !subject.IsToken(info.NUID) {
			err = failed(jetstream.ErrBadObjectMeta)
		}
	}
	if err != nil {
		o.release()
		return nil, err
	}
	return o, nil
}

// Size is how many bytes the object has in all.
func (o *object) Size() int64 { return o.size }

func (o *object) info(bucket, name string) (jetstream.ObjectInfo, error) {
	got, err := o.get(Request{LastFor: "$O." + bucket + ".M." + base64.URLEncoding.EncodeToString([]byte(name))})
	if err != nil {
		return jetstream.ObjectInfo{}, err
	}
	var info jetstream.ObjectInfo
	if err := json.Unmarshal(got[0].Data, &info); err != nil {
		return jetstream.ObjectInfo{}, fmt.Errorf("%w: %w", jetstream.ErrBadObjectMeta, err)
	}
	return info, nil
}

// get asks until the broker answers, but not for ever.
func (o *object) get(req Request) ([]Message, error) {
	for attempt := 0; ; attempt++ {
		got, err := o.chunks.Get(o.ctx, req)
		passing := natserr.Outage(err) || errors.Is(err, ErrNone)
		if err == nil || !passing || attempt >= readAttempts || !delivery.Pause(o.ctx, delivery.Backoff(0)/4<<attempt) {
			return got, err
		}
	}
}

func (o *object) Read(p []byte) (int, error) {
	for len(o.data) == 0 && o.err == nil {
		o.err = o.fetch()
	}
	if len(o.data) == 0 {
		return 0, o.err
	}
	n := copy(p, o.data)
	o.data = o.data[n:]
	return n, nil
}

// fetch makes the next chunk what is to be read. After the last one it returns io.EOF if all is well.
func (o *object) fetch() error {
	if o.left == 0 {
		if !bytes.Equal(o.sum.Sum(nil), o.wantsSum) {
			return jetstream.ErrDigestMismatch
		}
		return io.EOF
	}
	if len(o.fetched) == 0 {
		got, err := o.get(Request{Seq: o.next, NextFor: o.subject, Batch: chunksAtOnce})
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		for _, m := range got {
			if m.Subject != o.subject || m.Sequence < o.next {
				return fmt.Errorf("read the answer: %w", jetstream.ErrDigestMismatch)
			}
			o.fetched, o.next = append(o.fetched, m.Data), m.Sequence+1
		}
	}
	o.data, o.fetched = o.fetched[0], o.fetched[1:]
	if uint64(len(o.data)) > o.left {
		o.data = nil
		return fmt.Errorf("read the answer: %w", jetstream.ErrDigestMismatch)
	}
	o.left -= uint64(len(o.data))
	o.sum.Write(o.data)
	return nil
}

// Close releases what the reading needs.
func (o *object) Close() error {
	o.release()
	return nil
}
