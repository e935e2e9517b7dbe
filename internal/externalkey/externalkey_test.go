package externalkey_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/externalkey"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	cloud = "acme"
	key   = "JIRA-17"
	data  = `{"title":"T","targetParentId":"p-1"}`
)

// bridge is what a bridge decides with, over a server with the streams and buckets.
type bridge struct {
	*externalkey.Commands

	t      testing.TB
	keys   *keys.Keys
	ledger *ledger.Ledger
	out    bustest.Outside
}

func start(t testing.TB) bridge {
	t.Helper()
	s := natstest.Start(t)
	conn := bustest.Running(t, s)
	bustest.Ready(t, conn)
	b := bridge{t: t, keys: keys.New(conn, bustest.Quiet()), ledger: ledger.New(conn, bustest.Quiet()), out: bustest.Connected(t, s)}
	b.Commands = externalkey.New(cloud, b.keys, b.ledger, nil)
	return b
}

// command is a command as the bus delivers it.
func command(id, operation, data string, ext ...string) events.Command {
	e := event.Event{Context: &event.EventContextV1{
		ID: id, Source: *types.ParseURIRef("urn:test"), Type: "com.factro.command." + operation,
	}, DataEncoded: []byte(data)}
	for i := 0; i < len(ext); i += 2 {
		e.SetExtension(ext[i], ext[i+1])
	}
	return events.Command{
		Address: events.Address{Cloud: cloud, Resource: "task", Operation: operation}, Event: e, Position: "FACTRO_COMMANDS_ACME:1000",
	}
}

// own reads the key of a create.
func own(t testing.TB, ext ...string) externalkey.Own {
	t.Helper()
	cmd := command("c", "createTask", data, append([]string{"externalkey", key}, ext...)...)
	o, wrong := externalkey.Read(cmd.Event)
	if wrong == nil {
		wrong = o.Check(operation(t, "createTask"), cmd.Event.Data())
	}
	if wrong != nil {
		t.Fatal(wrong)
	}
	return o
}

func operation(t testing.TB, name string) factro.Operation {
	t.Helper()
	op, known := factro.Lookup(name)
	if !known {
		t.Fatalf("no operation %s", name)
	}
	return op
}

// queued puts a create into the stream, and returns it with its place there.
func (b bridge) queued(id string) events.Command {
	b.t.Helper()
	ack, err := b.out.JS.PublishMsg(b.t.Context(), &nats.Msg{Subject: "factro.command.acme.task.createTask", Data: []byte(data)})
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := command(id, "createTask", data)
	cmd.Position = fmt.Sprintf("%s:%d", ack.Stream, ack.Sequence)
	return cmd
}

// gone takes a command out of its stream.
func (b bridge) gone(cmd events.Command) {
	b.t.Helper()
	stream, place, _ := strings.Cut(cmd.Position, ":")
	var sequence uint64
	if _, err := fmt.Sscan(place, &sequence); err != nil {
		b.t.Fatal(err)
	}
	if err := b.out.Stream(stream).DeleteMsg(b.t.Context(), sequence); err != nil {
		b.t.Fatal(err)
	}
}

// ended has the ledger know how a command ended.
func (b bridge) ended(cmd events.Command, outcome events.Outcome, made ...string) {
	b.t.Helper()
	result, err := json.Marshal(events.Result{Operation: cmd.Operation, Outcome: outcome})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, _, err := b.ledger.Begin(b.t.Context(), cloud, cmd.Identity(), ledger.Record{StartedAt: time.Now(), Result: result, Made: made}); err != nil {
		b.t.Fatal(err)
	}
}

// reserve reserves the key for a command, and wants one of: "reserved", "pending", or the id of an object.
func (b bridge) reserve(cmd events.Command, want string) externalkey.Own {
	b.t.Helper()
	o := own(b.t)
	found, err := b.Reserve(b.t.Context(), &o, keys.OwnerOf(cmd))
	have := "reserved"
	switch {
	case found.Pending != nil:
		have = "pending"
	case found.Reason != nil:
		have = found.Reason.Code
	case o.Existing():
		have = o.Entry.ID
	}
	if err != nil || have != want {
		b.t.Fatalf("the command %s finds %q, want %q: %v", cmd.Event.ID(), have, want, err)
	}
	return o
}

// settle ends a command that has reserved the key.
func (b bridge) settle(o externalkey.Own, cmd events.Command, outcome events.Outcome, made ...string) {
	b.t.Helper()
	if err := b.Settle(b.t.Context(), &o, cmd.Identity(), events.Result{Outcome: outcome}, made, false); err != nil {
		b.t.Fatal(err)
	}
}

// entry is the id that the key stands for: "" if it is free, "pending" if it is reserved.
func (b bridge) entry() string {
	b.t.Helper()
	e, _, err := b.keys.Look(b.t.Context(), cloud, "task", key)
	if err != nil {
		b.t.Fatal(err)
	}
	if e.Pending() {
		return "pending"
	}
	return e.ID
}

// TestReserve: the first create gets the key, and gives it the id of its object; the next ones find that. A create that makes nothing
// frees the key.
func TestReserve(t *testing.T) {
	t.Parallel()
	b := start(t)
	first, second := b.queued("c-1"), b.queued("c-2")
	var none externalkey.Own
	b.settle(none, first, events.Applied, "t-0") // a command without a key changes none

	o := b.reserve(first, "reserved")
	b.reserve(first, "reserved") // a redelivery keeps it
	b.settle(o, first, events.Rejected)
	if have := b.entry(); have != "" {
		t.Errorf("after a refused create the key is %q", have)
	}
	o = b.reserve(second, "reserved")
	b.settle(o, second, events.Applied, "t-1")
	found := b.reserve(first, "t-1")
	if !found.Existing() || found.Updating() || found.Kind() != "task" {
		t.Errorf("found is %+v", found)
	}
	b.settle(found, first, events.Applied) // it has reserved nothing
	if have := b.entry(); have != "t-1" {
		t.Errorf("the key is %q", have)
	}
	// A dry run finds the same, and reserves nothing.
	seen := own(t)
	if _, err := b.Foresee(t.Context(), &seen); err != nil || seen.Entry.ID != "t-1" {
		t.Errorf("foreseen is %+v, %v", seen, err)
	}
	other := own(t)
	other.Name = "another"
	if found, err := b.Foresee(t.Context(), &other); err != nil || found.Pending != nil || other.Existing() {
		t.Errorf("foreseen is %+v, %v", other, err)
	}
}

// TestReserveAtOnce: of many creates under one key exactly one gets it, and the others wait for that one.
func TestReserveAtOnce(t *testing.T) {
	t.Parallel()
	b := start(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	reserved, pending := 0, 0
	for i := range 10 {
		cmd := b.queued(fmt.Sprint("c-", i))
		group.Go(func() {
			o := own(t)
			found, err := b.Reserve(t.Context(), &o, keys.OwnerOf(cmd))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil || found.Reason != nil || o.Existing():
				t.Errorf("%+v, %+v, %v", found, o, err)
			case found.Pending != nil:
				pending++
			default:
				reserved++
			}
		})
	}
	group.Wait()
	if reserved != 1 || pending != 9 {
		t.Errorf("%d have the key, %d wait", reserved, pending)
	}
}

// TestOwnerEnded: a key whose command has not ended stays reserved. If the command has ended without settling the key, such as by a
// crash, the next create settles it: by the ledger, or, if that knows nothing, by the stream.
func TestOwnerEnded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  func(bridge, events.Command)
		want string
	}{
		"waits":              {func(bridge, events.Command) {}, "pending"},
		"begun":              {func(b bridge, c events.Command) { b.begun(c) }, "pending"},
		"made its object":    {func(b bridge, c events.Command) { b.ended(c, events.Applied, "t-1") }, "t-1"},
		"made one of no id":  {func(b bridge, c events.Command) { b.ended(c, events.Applied) }, events.CodeUnknownKey},
		"was refused":        {func(b bridge, c events.Command) { b.ended(c, events.Rejected) }, "reserved"},
		"taken out":          {func(b bridge, c events.Command) { b.gone(c) }, "reserved"},
		"begun, then no end": {func(b bridge, c events.Command) { b.begun(c); b.gone(c) }, "reserved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			first := b.queued("c-1")
			b.reserve(first, "reserved")
			tt.end(b, first)
			b.reserve(b.queued("c-2"), tt.want)
		})
	}
}

func (b bridge) begun(cmd events.Command) {
	b.t.Helper()
	if _, _, err := b.ledger.Begin(b.t.Context(), cloud, cmd.Identity(), ledger.Record{StartedAt: time.Now(), Open: true}); err != nil {
		b.t.Fatal(err)
	}
}

// TestFreed: a key is free again once factro does not know its object, or a command has deleted it.
func TestFreed(t *testing.T) {
	t.Parallel()
	b := start(t)
	first := b.queued("c-1")
	b.settle(b.reserve(first, "reserved"), first, events.Applied, "t-1")
	found := b.reserve(b.queued("c-2"), "t-1")
	stale := found.Entry
	if err := b.Forget(t.Context(), found.Entry); err != nil { // factro answered 404
		t.Fatal(err)
	}
	if op := found.Lost(); op.Name != "createTask" || found.Existing() {
		t.Errorf("it goes on with %s, %+v", op.Name, found)
	}
	if have := b.entry(); have != "" {
		t.Errorf("the key is %q", have)
	}
	second := b.queued("c-3")
	b.settle(b.reserve(second, "reserved"), second, events.Applied, "t-2")
	if err := b.Forget(t.Context(), stale); err != nil || b.entry() != "t-2" { // a late 404 about the first object
		t.Errorf("the key is %q: %v", b.entry(), err)
	}
	for operationName, id := range map[string]string{"updateTask": "t-2", "deleteTask": ""} {
		if err := b.Deleted(t.Context(), operation(t, operationName), id); err != nil || b.entry() != "t-2" {
			t.Errorf("after %s of %q the key is %q: %v", operationName, id, b.entry(), err)
		}
	}
	if err := b.Deleted(t.Context(), operation(t, "deleteTask"), "t-2"); err != nil || b.entry() != "" {
		t.Errorf("after the deletion the key is %q: %v", b.entry(), err)
	}
}

// TestConflict: with onconflict update a create under a known key becomes the update of its object.
func TestConflict(t *testing.T) {
	t.Parallel()
	b := start(t)
	first := b.queued("c-1")
	b.settle(b.reserve(first, "reserved"), first, events.Applied, "t-1")
	o := own(t, "onconflict", "update")
	if o.Updating() {
		t.Error("it is an update before anything is known")
	}
	if _, err := b.Reserve(t.Context(), &o, keys.OwnerOf(b.queued("c-2"))); err != nil || !o.Updating() {
		t.Fatalf("%+v, %v", o, err)
	}
	op, call, err := o.Call([]byte(data))
	if err != nil || op.Name != "updateTask" || call.EntityID != "t-1" {
		t.Errorf("the call is %s %+v, %v", op.Name, call, err)
	}
	plain := own(t)
	if o.FingerprintData("createTask", []byte(data)) == plain.FingerprintData("createTask", []byte(data)) {
		t.Error("a create that updates is the same command as one that does not")
	}
}

// TestRead: what is wrong about the attributes is said with their names.
func TestRead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		operation string
		ext       []string
		want      string
	}{
		{"createTask", nil, ""},
		{"createTask", []string{"externalkey", key, "onconflict", "existing"}, ""},
		{"createTask", []string{"externalkey", strings.Repeat("k", 1000)}, "externalkey"},
		{"createTask", []string{"externalkey", ""}, "externalkey"},
		{"createTask", []string{"onconflict", "update"}, "onconflict"},
		{"createTask", []string{"externalkey", key, "onconflict", "replace"}, "onconflict"},
		{"updateTask", []string{"externalkey", key}, "updateTask"},
	} {
		cmd := command("c", tt.operation, data, tt.ext...)
		o, wrong := externalkey.Read(cmd.Event)
		if wrong == nil {
			wrong = o.Check(operation(t, tt.operation), cmd.Event.Data())
		}
		if tt.want == "" && wrong != nil || tt.want != "" && (wrong == nil || wrong.Code != events.CodeInvalid || !strings.Contains(wrong.Message, tt.want)) {
			t.Errorf("%s %q: %+v, want %q", tt.operation, tt.ext, wrong, tt.want)
		}
	}
}

// earlier says which keys commands of the queue give to what they make.
type earlier map[string]uint64

func (e earlier) MakesBefore(_, key string, sequence uint64) bool {
	at, makes := e[key]
	return makes && at < sequence
}

// TestResolve: a key in the data stands for the id of its object. One of a create that has not ended is pending, whether that create has
// begun or only waits before the command; any other one is unknown.
func TestResolve(t *testing.T) {
	t.Parallel()
	b := start(t)
	ctx := t.Context()
	text := `{"taskId":{"externalkey":"JIRA-17"},"title":"T"}`
	refs, err := translate.KeyRefs(operation(t, "updateTask"), []byte(text))
	if err != nil || len(refs) != 1 {
		t.Fatal(refs, err)
	}
	cmd := command("c-9", "updateTask", text)
	made := externalkey.Makes(command("c", "createTask", data, "externalkey", key))
	waiting := externalkey.New(cloud, b.keys, b.ledger, earlier{made: 999})
	behind := externalkey.New(cloud, b.keys, b.ledger, earlier{made: 1001})

	want := func(when string, c *externalkey.Commands, begun map[string]string, want string) {
		t.Helper()
		found, err := c.Resolve(ctx, cmd, refs, begun)
		have := found.IDs["/taskId"]
		if found.Pending != nil {
			have = "pending " + found.Pending.Kind
		}
		if found.Reason != nil {
			have = found.Reason.Code
		}
		if err != nil || have != want {
			t.Errorf("%s: it stands for %q, want %q: %v", when, have, want, err)
		}
	}
	want("nobody has it", b.Commands, nil, events.CodeUnknownKey)
	want("an earlier create waits", waiting, nil, "pending task")
	want("a later create waits", behind, nil, events.CodeUnknownKey)
	want("begun before the key was freed", b.Commands, map[string]string{"/taskId": "t-0"}, "t-0")

	first := b.queued("c-1")
	o := b.reserve(first, "reserved")
	want("a create has begun", b.Commands, nil, "pending task")
	if found, err := externalkey.Resolve(ctx, cloud, b.keys, refs); err != nil || found.Pending == nil {
		t.Errorf("a query finds %+v, %v", found, err)
	}
	b.settle(o, first, events.Applied, "t-1")
	want("the create has ended", b.Commands, nil, "t-1")
	want("the create has ended, another one waits", waiting, nil, "t-1")
	if found, err := externalkey.Resolve(ctx, cloud, b.keys, refs); err != nil || found.IDs["/taskId"] != "t-1" || found.Named["/taskId"].ID != "t-1" {
		t.Errorf("a query finds %+v, %v", found, err)
	}
}

// TestLane: commands about one object, or about one key, have one lane.
func TestLane(t *testing.T) {
	t.Parallel()
	create := command("c-1", "createTask", data, "externalkey", key)
	again := command("c-2", "createTask", `{"title":"other"}`, "externalkey", key)
	named := command("c-3", "updateTask", `{"taskId":{"externalkey":"JIRA-17"}}`)
	plain := command("c-4", "createTask", data)
	if lane := externalkey.Lane(create); lane == "" || lane != externalkey.Lane(again) || lane != externalkey.Lane(named) {
		t.Errorf("the lanes are %q, %q and %q", lane, externalkey.Lane(again), externalkey.Lane(named))
	}
	if externalkey.Makes(plain) != "" || externalkey.Lane(plain) == externalkey.Lane(create) {
		t.Errorf("a create without a key has the lane %q", externalkey.Lane(plain))
	}
}
