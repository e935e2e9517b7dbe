package events

import (
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/command"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// Client sends commands and queries to the bridge of one factro cloud. It holds no resources of its own and may be used
// by many goroutines at once.
//
// Open its connection with nats.MaxReconnects(-1): a connection that has given up reconnecting never answers again.
type Client struct {
	js       jetstream.JetStream
	cloud    string
	prefix   Prefix
	defaults []DoOption
	patience time.Duration
}

// patience is how long Do relies on the copy of the result that the bridge sends to it. That copy is sent at most once,
// and the stream has the result anyway, so after this time Do reads the stream as well.
const patience = 3 * time.Second

// NewClient returns a client for the cloud of that configured name. A name that no cloud can have is an error of each
// command and query.
func NewClient(js jetstream.JetStream, cloud string, opts ...ClientOption) *Client {
	c := &Client{js: js, cloud: cloud, prefix: DefaultPrefix, patience: patience}
	for _, o := range opts {
		o(c)
	}
	return c
}

// name is the form of a cloud's name and of a prefix.
var name = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// check refuses names by which nobody could be reached, or too many.
func (c *Client) check() error {
	switch {
	case !name.MatchString(c.cloud):
		return fmt.Errorf("cloud %s is not of the form [a-z0-9][a-z0-9-]*", binding.Quote(c.cloud))
	case !name.MatchString(string(c.prefix)):
		return fmt.Errorf("prefix %s is not of the form [a-z0-9][a-z0-9-]*", binding.Quote(string(c.prefix)))
	}
	return nil
}

// ClientOption changes what NewClient makes.
type ClientOption func(*Client)

// WithPrefix sets the first token of all subjects, if the bridge is configured with another than DefaultPrefix.
func WithPrefix(p Prefix) ClientOption { return func(c *Client) { c.prefix = p } }

// WithDefaults sets options that hold for every command of the client, before those that are given to Do. A source is a
// good one.
func WithDefaults(opts ...DoOption) ClientOption {
	return func(c *Client) { c.defaults = append(c.defaults, opts...) }
}

// DoOption changes one command.
type DoOption func(*order)

// order is what is known of a command beside its payload.
type order struct {
	command.Draft
	onDeferred func(Result)
	onResult   func(Event)
	onStatus   func(status.Status, error)
}

// DefaultSource is the source of commands whose sender gives none.
const DefaultSource = "urn:factro:client"

// WithID sets the id of the command, which is its idempotency key: sent again with the same id it is not done again, and
// its earlier result is returned. Without this option every call of Do is a new command with a UUID of version 7.
//
// An id counts for its cloud and the source of the command. At most 512 bytes, else the command is not sent.
func WithID(id string) DoOption { return func(o *order) { o.ID = id } }

// WithSource sets who sends the command, a URI such as urn:example:billing. Together with the id it identifies the command, so
// give each program a source of its own. At most 512 bytes, else the command is not sent.
func WithSource(uri string) DoOption { return func(o *order) { o.Source = uri } }

// WithExpiry sets the time at and after which the command is not carried out any more, but rejected as expired.
func WithExpiry(t time.Time) DoOption {
	return func(o *order) { o.Extensions[attr.ExpiryTime] = t.UTC() }
}

// WithNotBefore sets the time before which the command is not carried out. Until then it waits in a stream of NATS; for this the
// server has to be of version 2.12 or later, else the command is rejected as unsupported. Do waits as long; with Send the result can be
// read later. [Client.Cancel] cancels the command as long as it waits. A time in the past changes nothing.
func WithNotBefore(t time.Time) DoOption {
	return func(o *order) { o.Extensions[attr.NotBefore] = t.UTC() }
}

// WithCorrelationID sets an id that is copied to the results. At most 512 bytes, else the command is not sent.
func WithCorrelationID(id string) DoOption {
	return func(o *order) { o.Extensions[attr.CorrelationID] = id }
}

// WithPartitionKey sets the partition key. Commands of one key are carried out one after the other, in the order in which the
// stream got them; commands of different keys side by side. Without it the key is what the command changes, such as a task; a
// command that creates something has none, and is in order with no other.
func WithPartitionKey(key string) DoOption {
	return func(o *order) { o.Extensions[attr.PartitionKey] = key }
}

// WithExternalKey gives the object of a create a key of the sender's own, such as JIRA-17. All creates of a cloud and resource with
// one key make one object: the first one creates it, and the results of the others have Existing set. Commands and queries can name
// the object by the key, see [ByExternalKey]. A key has 1 to [attr.MaxExternalKey] bytes of text; upper and lower case differ.
func WithExternalKey(key string) DoOption {
	return func(o *order) { o.Extensions[attr.ExternalKey] = key }
}

// WithOnConflict says what happens if the external key of a create has an object already: [attr.OnConflictExisting] or [attr.OnConflictUpdate].
func WithOnConflict(what string) DoOption {
	return func(o *order) { o.Extensions[attr.OnConflict] = what }
}

// WithPriority sets the priority, one of [attr.PriorityHigh], [attr.PriorityNormal] and [attr.PriorityLow]: of the commands that wait
// for factro, those of a higher one go first. The order of commands of one key stays. Any other value is rejected as invalid.
func WithPriority(priority string) DoOption {
	return func(o *order) { o.Extensions[attr.Priority] = priority }
}

// DryRun has the bridge check the command only. The result is applied, its DryRun is true, and its Response is the
// planned call, which [Result.PlannedCall] reads.
func DryRun() DoOption { return func(o *order) { o.DryRun = true } }

// OnDeferred has f called, from within Do, with each result that says that the command has to wait. Do goes on waiting.
func OnDeferred(f func(Result)) DoOption { return func(o *order) { o.onDeferred = f } }

// OnResult has f called, from within Do, with the event of each result, the deferred ones and the final one.
func OnResult(f func(Event)) DoOption { return func(o *order) { o.onResult = f } }

// OnStatus has f called, from within Do, with what the bridge says the command waits for: after a second, and then whenever that
// has changed. With an error nothing is known of it; see [Client.Status]. If no bridge is there, f hears so at once.
func OnStatus(f func(status.Status, error)) DoOption { return func(o *order) { o.onStatus = f } }
