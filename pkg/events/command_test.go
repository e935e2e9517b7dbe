package events_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

const (
	prefix      = events.Prefix("factro")
	createTask  = "factro.command.acme.task.createTask"
	commandType = "com.factro.command.createTask"
	position    = "FACTRO_COMMANDS_ACME:42"
)

// commandHeader returns the headers of a valid command, with changes: pairs of a name and its only value.
func commandHeader(changes ...string) nats.Header {
	h := nats.Header{
		"ce-specversion": {"1.0"}, "ce-id": {"c-1"}, "ce-source": {"urn:example:shop"}, "ce-type": {commandType},
		"ce-correlationid": {"order%207"}, "Factro-Reply-To": {"shop.replies"}, "Nats-Msg-Id": {"m-1"},
	}
	for i := 0; i < len(changes); i += 2 {
		h[changes[i]] = []string{changes[i+1]}
	}
	return h
}

func TestDecodeCommand(t *testing.T) {
	t.Parallel()
	const envelope = `{"specversion":"1.0","id":"c-1","source":"/s","type":"` + commandType + `"`
	for name, tt := range map[string]struct {
		header                nats.Header
		data                  string
		id, source, want, rep string
	}{
		"binary":               {commandHeader(), `{"title":"ü"}`, "c-1", "urn:example:shop", `{"title":"ü"}`, "shop.replies"},
		"binary with type":     {commandHeader("ce-datacontenttype", "application/json;charset=utf-8"), `{}`, "c-1", "urn:example:shop", `{}`, "shop.replies"},
		"binary with a format": {commandHeader("ce-datacontenttype", "application/vnd.a+json"), `{}`, "c-1", "urn:example:shop", `{}`, "shop.replies"},
		"binary without data":  {commandHeader(), "", "c-1", "urn:example:shop", `{}`, "shop.replies"},
		"reply in lower case":  {commandHeader("Factro-Reply-To", ""), "", "c-1", "urn:example:shop", `{}`, ""},
		"structured":           {nats.Header{"Content-Type": {"application/cloudevents+json"}}, envelope + `,"data": {"a":null} }`, "c-1", "/s", `{"a":null}`, ""},
		"without headers":      {nil, envelope + `,"data":{"a":1}}`, "c-1", "/s", `{"a":1}`, ""},
		"structured base64":    {nil, envelope + `,"data_base64":"e30="}`, "c-1", "/s", `{}`, ""},
		"structured, no data":  {nil, envelope + `}`, "c-1", "/s", `{}`, ""},
		"plain":                {nil, ` {"a":1} `, position, "urn:nats:" + createTask, ` {"a":1} `, ""},
		"plain with an id":     {nats.Header{"nats-msg-id": {"m ü"}, "factro-reply-to": {"r"}}, `{}`, "m ü", "urn:nats:" + createTask, `{}`, "r"},
		"plain, blank id":      {nats.Header{"Nats-Msg-Id": {" "}}, "\r\n", position, "urn:nats:" + createTask, `{}`, ""},
		"plain and traced":     {nats.Header{"traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}, "", position, "urn:nats:" + createTask, `{}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := prefix.DecodeCommand(createTask, tt.header, []byte(tt.data), position)
			if err != nil {
				t.Fatal(err)
			}
			if want := (events.Address{Cloud: "acme", Resource: "task", Operation: "createTask"}); c.Address != want {
				t.Errorf("address %+v, want %+v", c.Address, want)
			}
			e := c.Event
			if e.ID() != tt.id || e.Source() != tt.source || e.Type() != commandType || c.ReplyTo != tt.rep {
				t.Errorf("got %+v", c)
			}
			if string(e.Data()) != tt.want || e.DataBase64 {
				t.Errorf("data %q, want %q", e.Data(), tt.want)
			}
			if err := e.Validate(); err != nil {
				t.Error(err)
			}
			if strings.HasPrefix(name, "plain") && (!e.Time().IsZero() || e.DataContentType() != "application/json" || len(e.Extensions()) > 0) {
				t.Errorf("a plain command has attributes that nobody gave: %v", e)
			}
			passOn(t, events.ToMsg, e)
			e.DataEncoded = bytes.TrimSpace(e.DataEncoded) // structured mode loses blanks around JSON
			passOn(t, events.ToStructuredMsg, e)
		})
	}
}

func TestDecodeCommandErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		subject string
		header  nats.Header
		data    string
		id      string
		want    string
	}{
		"other type": {
			createTask, commandHeader("ce-type", "com.factro.command.deleteTask"), `{}`, "c-1",
			`attribute type is "com.factro.command.deleteTask", but the subject's operation is createTask, want "com.factro.command.createTask"`,
		},
		"array":        {createTask, commandHeader(), `["s3cret"]`, "c-1", `data is an array, want an object`},
		"string":       {createTask, commandHeader(), `"s3cret"`, "c-1", `data is a string, want an object`},
		"number":       {createTask, commandHeader(), ` 5`, "c-1", `data is a number, want an object`},
		"boolean":      {createTask, commandHeader(), `true`, "c-1", `data is a boolean, want an object`},
		"null":         {createTask, nil, `null`, position, `data is null, want an object`},
		"no JSON":      {createTask, nil, `title=s3cret`, position, `data is no JSON: invalid character 'i' in literal true (expecting 'r')`},
		"half":         {createTask, nil, `{"a":`, position, `data is no JSON: unexpected end of JSON input`},
		"two objects":  {createTask, nil, `{} {}`, position, `data is no JSON: invalid character '{' after top-level value`},
		"Latin-1":      {createTask, nil, "{\"a\":\"\xfc\"}", position, `data is not UTF-8 at byte 6`},
		"BOM":          {createTask, nil, "\xef\xbb\xbf{}", position, `data begins with a byte order mark, which JSON does not allow`},
		"not JSON":     {createTask, commandHeader("ce-datacontenttype", "text/plain"), `{}`, "c-1", `attribute datacontenttype is "text/plain", want application/json`},
		"no id":        {createTask, commandHeader("ce-id", ""), `{}`, "m-1", `attribute id: MUST be a non-empty string`},
		"broken id":    {createTask, commandHeader("ce-id", "%"), `{}`, "m-1", `header ce-id has the broken escape "%", want % and two hex digits (a percent sign is %25)`},
		"id twice":     {createTask, commandHeader("Ce-Id", "c-2"), `{}`, "m-1", `header ce-id is given 2 times, want once`},
		"no version":   {createTask, nats.Header{"ce-id": {"c-1"}, "ce-type": {commandType}, "ce-source": {"/s"}}, `{}`, "c-1", `header ce-specversion is missing`},
		"broken event": {createTask, nil, `{"specversion":"1.0","id":5,"type":"x"}`, position, `attribute id is a number, want a string; attribute source is missing; attribute type is "x"`},
		"half event":   {createTask, nats.Header{"Content-Type": {"application/cloudevents+json"}}, `{"specver`, position, `payload is no JSON: unexpected end of JSON input`},
		"message id":   {createTask, nats.Header{"Nats-Msg-Id": {"1", "2"}}, `{}`, position, `header Nats-Msg-Id is given 2 times, want once`},
		"id in bytes":  {createTask, nats.Header{"Nats-Msg-Id": {"\xff"}}, `{}`, position, `header Nats-Msg-Id is not UTF-8`},
		"subject":      {"factro.event.acme.task.createTask", commandHeader(), `{}`, "c-1", `subject "factro.event.acme.task.createTask" is not of the form factro.command.<cloud>.<resource>.<operation>`},
		"long type": {
			createTask, commandHeader("ce-type", strings.Repeat("x", 1000)), `{}`, "c-1",
			`attribute type is "` + strings.Repeat("x", 80) + `"…, but`,
		},
		"all at once": {
			createTask, commandHeader("ce-type", "x", "Factro-Reply-To", "a.>"), `[]`, "c-1",
			`attribute type is "x", but the subject's operation is createTask, want "com.factro.command.createTask"; ` +
				`data is an array, want an object; header Factro-Reply-To is "a.>", want a subject without blanks and wildcards`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := prefix.DecodeCommand(tt.subject, tt.header, []byte(tt.data), position)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Fatalf("\n got %v\nwant %s", err, tt.want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells too much: %v", err)
			}
			if c.Event.ID() != tt.id {
				t.Errorf("id %q, want %q", c.Event.ID(), tt.id)
			}
			if name != "subject" && c.Operation != "createTask" {
				t.Errorf("address %+v", c.Address)
			}
			if want := tt.header.Get("Factro-Reply-To"); c.ReplyTo != want && name != "all at once" {
				t.Errorf("reply to %q, want %q", c.ReplyTo, want)
			}
			if want := tt.header["ce-correlationid"]; want != nil && c.Event.Extensions()["correlationid"] != "order 7" {
				t.Errorf("correlation id %q, want that of %q", c.Event.Extensions()["correlationid"], want)
			}
			if errors.Is(err, events.ErrPlain) {
				t.Errorf("a command is never refused for being plain: %v", err)
			}
		})
	}
	if _, err := prefix.DecodeCommand(createTask, nil, []byte("{}"), ""); err == nil ||
		err.Error() != "the message has no id: want a header Nats-Msg-Id" {
		t.Errorf("no id and no position: got %v", err)
	}
}

func TestReplyTo(t *testing.T) {
	t.Parallel()
	for value, ok := range map[string]bool{
		"a": true, "_INBOX.x.y": true, "ä.b": true, "a*.b": true,
		"*": false, "a.>": false, "a b": false, "a..b": false, ".": false, "a.": false, "a\r\nb": false, "\xff": false,
	} {
		c, err := prefix.DecodeCommand(createTask, commandHeader("Factro-Reply-To", value), nil, position)
		if (err == nil) != ok || (c.ReplyTo == value) != ok {
			t.Errorf("%q: got %q, %v; want it taken: %t", value, c.ReplyTo, err, ok)
		}
	}
	h := commandHeader()
	h["factro-reply-to"] = []string{"other"}
	if c, err := prefix.DecodeCommand(createTask, h, nil, position); err == nil || c.ReplyTo != "" {
		t.Errorf("two reply subjects: got %q, %v", c.ReplyTo, err)
	}
}

func FuzzDecodeCommand(f *testing.F) {
	f.Add(createTask, "c-1", commandType, "m-1", "reply", []byte(`{"a":1}`), position)
	f.Add(createTask, "", "", "", "", []byte(`{"a":1}`), position)
	f.Add(createTask, "", "", "", "", []byte(`{"specversion":"1.0","id":"1","source":"s","type":"`+commandType+`","data_base64":5}`), "")
	f.Add("factro.redrive.acme.task.createTask", "c-1", commandType, "m-1", "", []byte(`{"a":1}`), position)
	f.Add("factro.command", "%", "", "\xff", "a.>", []byte("\xef\xbb\xbf"), position)
	f.Add("factro.command.acme.task.\xc8", "", "", "m-1", "", []byte(`{"a":1}`), position)
	f.Fuzz(func(t *testing.T, subject, id, kind, messageID, reply string, data []byte, position string) {
		if !utf8.ValidString(position) { // the bridge makes it, of names that are
			t.Skip()
		}
		h := nats.Header{}
		for name, value := range map[string]string{"ce-id": id, "ce-type": kind, "Nats-Msg-Id": messageID, "Factro-Reply-To": reply} {
			if value != "" {
				h[name] = []string{value}
			}
		}
		if id != "" {
			h["ce-source"], h["ce-specversion"] = []string{"/s"}, []string{"1.0"}
		}
		before := maps.Clone(h)
		c, err := prefix.DecodeCommand(subject, h, data, position)
		if fmt.Sprint(before) != fmt.Sprint(h) {
			t.Errorf("the headers were changed")
		}
		again, errAgain := prefix.DecodeCommand(subject, h, data, position)
		if fmt.Sprint(err) != fmt.Sprint(errAgain) || c.Event.ID() != again.Event.ID() {
			t.Errorf("a redelivery differs: %v, %v", err, errAgain)
		}
		if err != nil {
			if c.Event.Context == nil || strings.TrimSpace(position) != "" && c.Event.ID() == "" {
				t.Errorf("no id in spite of a position: %+v", c)
			}
			return
		}
		if err := c.Event.Validate(); err != nil {
			t.Errorf("not valid: %v", err)
		}
		if c.Identity() != again.Identity() || c.Identity() == "" {
			t.Errorf("a redelivery is another command: %q, %q", c.Identity(), again.Identity())
		}
		if c.Event.Type() != events.CommandTypePrefix+c.Operation || c.Event.Data()[strings.IndexByte(string(c.Event.Data()), '{')] != '{' {
			t.Errorf("got %+v", c)
		}
		passOn(t, events.ToMsg, c.Event)
	})
}

// A result carries the id and the correlation id of its command in headers, and the broker takes 64 KiB of them.
func TestDecodeCommandRefusesAttributesThatNoResultCanCarry(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for name, header := range map[string]nats.Header{
		"id of a CloudEvent": {
			"ce-specversion": {"1.0"}, "ce-id": {long}, "ce-source": {"urn:test"}, "ce-type": {"com.factro.command.createTask"},
			"ce-correlationid": {long},
		},
		"id of a plain message": {events.HeaderMessageID: {long}},
		"source": {
			"ce-specversion": {"1.0"}, "ce-id": {position}, "ce-source": {"urn:" + long[4:]}, "ce-type": {"com.factro.command.createTask"},
		},
	} {
		c, err := prefix.DecodeCommand("factro.command.acme.task.createTask", header, []byte("{}"), position)
		if err == nil || !strings.Contains(err.Error(), "has 100000 bytes, want at most 512") {
			t.Errorf("%s: got %v", name, err)
		}
		if c.Event.ID() != position {
			t.Errorf("%s: the command's id has %d bytes, want the position", name, len(c.Event.ID()))
		}
		if len(c.Source()) > 512 {
			t.Errorf("%s: the source has still %d bytes", name, len(c.Source()))
		}
		if c.Event.Extensions()[attr.CorrelationID] != nil {
			t.Errorf("%s: the correlation id is still there", name)
		}
	}
}
