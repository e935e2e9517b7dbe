package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/fresh"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// Ask asks a query and returns its answer, which may be larger than memory and is to be closed. See [events.Client.Query]
// for what the errors are.
func (c *Client) Ask(ctx context.Context, p events.Prefix, cloud string, op events.Operation, data []byte, opts ...fresh.Option) (io.ReadCloser, error) {
	answer, err := c.Bridge(p, cloud).Query(ctx, payload.Generic{Name: op.Name, Resource: op.Resource, Data: json.RawMessage(data)}, opts...)
	if errors.Is(err, nats.ErrNoResponders) {
		return nil, fmt.Errorf("no bridge answers queries of the cloud %s here: %w", cloud, err)
	}
	return answer, err
}

// Source is the source of the commands that the command line sends.
const Source = "urn:factro:bridge:cli"

// Bridge is a client of the bridge of a cloud.
func (c *Client) Bridge(p events.Prefix, cloud string) *events.Client {
	return events.NewClient(c.js, cloud, events.WithPrefix(p), events.WithDefaults(events.WithSource(Source)))
}

// headerRoom is what data leaves of a message to its headers.
const headerRoom = 4 << 10

// MaxData is how many bytes of data a message of this connection can hold, beside its headers.
func (c *Client) MaxData() int64 { return max(c.nc.MaxPayload()-headerRoom, 0) }

// Upload puts a file into a cloud's bucket for files, as a stream, and returns what a command refers to it by. What is there
// under that name already is left alone, since a command may be reading it.
func (c *Client) Upload(ctx context.Context, p events.Prefix, cloud, name string, content io.Reader) (events.ObjectRef, error) {
	bucket := p.FileBucket(cloud)
	store, err := c.js.ObjectStore(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return events.ObjectRef{}, fmt.Errorf("there is no object store %s; a bridge makes it", bucket)
	}
	if err != nil {
		return events.ObjectRef{}, fmt.Errorf("object store %s: %w", bucket, err)
	}
	if have, err := store.GetInfo(ctx, name); err == nil {
		return events.ObjectRef{Bucket: bucket, Name: name, Size: have.Size}, nil
	}
	return objects.Put(ctx, store, bucket, name, content, c.nc.MaxPayload())
}
