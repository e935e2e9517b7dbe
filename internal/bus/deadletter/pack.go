package deadletter

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
)

// A message in an object store is a line of JSON with its subject, id and headers, and then its data as it is. Names and
// values of headers are in base64: they can be any bytes, and must come out unchanged.

// packedHead is the line before the data.
type packedHead struct {
	Subject string         `json:"subject"`
	ID      string         `json:"id,omitempty"`
	Size    int            `json:"size"`
	Header  []packedHeader `json:"headers"`
}

type packedHeader struct {
	Name   []byte   `json:"name"`
	Values [][]byte `json:"values"`
}

// pack writes messages one after the other.
func pack(all ...PendingPublish) (io.Reader, error) {
	var parts []io.Reader
	for _, p := range all {
		head := packedHead{Subject: p.Msg.Subject, ID: p.ID, Size: len(p.Msg.Data)}
		for name, values := range p.Msg.Header {
			h := packedHeader{Name: []byte(name)}
			for _, v := range values {
				h.Values = append(h.Values, []byte(v))
			}
			head.Header = append(head.Header, h)
		}
		line, err := json.Marshal(head)
		if err != nil {
			return nil, fmt.Errorf("pack a message: %w", err)
		}
		parts = append(parts, bytes.NewReader(append(line, '\n')), bytes.NewReader(p.Msg.Data))
	}
	return io.MultiReader(parts...), nil
}

// mostPacked bounds the data of a packed message: no server takes a larger one.
const mostPacked = 64 << 20

var errPacked = errors.New("it is not a message that the bridge has packed")

// unpackAll reads what pack has written.
func unpackAll(content io.Reader) ([]PendingPublish, error) {
	var all []PendingPublish
	for r := bufio.NewReader(content); ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errPacked, err)
		}
		var head packedHead
		if err := json.Unmarshal(line, &head); err != nil {
			return nil, fmt.Errorf("%w: %w", errPacked, err)
		}
		if head.Size < 0 || head.Size > mostPacked {
			return nil, fmt.Errorf("%w: its size is %d", errPacked, head.Size)
		}
		msg := &nats.Msg{Subject: head.Subject, Header: nats.Header{}, Data: make([]byte, head.Size)}
		for _, h := range head.Header {
			for _, v := range h.Values {
				msg.Header[string(h.Name)] = append(msg.Header[string(h.Name)], string(v))
			}
		}
		if _, err := io.ReadFull(r, msg.Data); err != nil {
			return nil, fmt.Errorf("%w: %w", errPacked, err)
		}
		all = append(all, PendingPublish{head.ID, msg})
	}
}

// fetch reads an object that pack has written. It follows no link, and reads no more than it must.
func fetch(ctx context.Context, store jetstream.ObjectStore, bucket, name string) ([]PendingPublish, error) {
	info, err := store.GetInfo(ctx, name)
	if err != nil {
		return nil, objects.Error(bucket, err)
	}
	if info.Opts != nil && info.Opts.Link != nil {
		return nil, fmt.Errorf("object store %s: %w: it is a link", bucket, objects.ErrNoFile)
	}
	content, err := store.Get(ctx, name)
	if err != nil {
		return nil, objects.Error(bucket, err)
	}
	all, err := unpackAll(io.LimitReader(content, 2*mostPacked))
	return all, errors.Join(err, content.Close())
}
