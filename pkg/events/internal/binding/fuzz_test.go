package binding_test

import (
	"bytes"
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// FuzzRoundTrip holds that what we write we read back, in both modes.
func FuzzRoundTrip(f *testing.F) {
	for _, value := range nasty {
		f.Add("id"+value, "urn:a", "t", value, "application/json", int64(1769851800123456789), value, []byte(value), int32(7), true, false, []byte(value))
	}
	f.Add("1", "/a%2Fb?c=%20#d", "t", "", "", int64(0), "", []byte(nil), int32(-1), false, true, []byte(` {"a":1} `))
	f.Add("1", "//h:1", "t", "s", "text/plain", int64(-1), "", []byte{0xff}, int32(0), false, true, []byte("\xff"))
	f.Fuzz(func(t *testing.T, id, source, kind, subject, contentType string, nano int64, text string, binary []byte, n int32,
		flag, base64 bool, data []byte,
	) {
		c := &event.EventContextV1{ID: id, Type: kind, Extensions: map[string]any{
			"text": text, "binary": binary, "n": n, "flag": flag, "when": types.Timestamp{Time: time.Unix(0, nano)},
		}}
		u, err := url.Parse(source)
		if err != nil {
			t.Skip()
		}
		c.Source.URL = *u
		c.Extensions["uri"] = types.URIRef{URL: *u}
		if subject != "" {
			c.Subject = &subject
		}
		if contentType != "" {
			c.DataContentType = &contentType
		}
		if nano != 0 {
			c.Time = &types.Timestamp{Time: time.Unix(0, nano)}
		}
		e := event.Event{Context: c, DataEncoded: data, DataBase64: base64}
		if len(data) == 0 {
			e.DataEncoded = nil
		}
		valid := e.Validate() == nil
		utf8OK := utf8.ValidString(id + "\x00" + kind + "\x00" + subject + "\x00" + contentType + "\x00" + text + "\x00" + u.String())

		for _, enc := range encoders {
			m, err := enc.encode("a.b", e)
			if want := valid && utf8OK; (err == nil) != want {
				t.Fatalf("%s: got %v, but valid is %t and UTF-8 is %t", enc.name, err, valid, utf8OK)
			}
			if err != nil {
				continue
			}
			for name, values := range m.Header {
				if s := name + strings.Join(values, ""); strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
					t.Errorf("%s: header %q %q", enc.name, name, values)
				}
			}
			if _, err := url.Parse(u.String()); err != nil {
				continue // a URL that net/url reads, but does not read back
			}
			got, err := binding.FromMsg(m.Header, m.Data)
			if err != nil {
				t.Fatalf("%s: %v\n%s", enc.name, err, describe(m))
			}
			want := e
			if enc.name == "structured" && !got.DataBase64 && !bytes.Equal(got.DataEncoded, data) {
				want.DataEncoded = bytes.Trim(data, " \t\r\n") // blanks around JSON are lost
			}
			if got.Time() != e.Time() && !got.Time().Equal(e.Time()) {
				t.Errorf("%s: time %v, want %v", enc.name, got.Time(), e.Time())
			}
			g, w := canonical(t, got), canonical(t, want)
			if g["uri"] != w["uri"] || g["source"] != w["source"] {
				// Some URLs change when net/url writes what it has read; what it has written must stay.
				again := roundTrip(t, enc, got)
				wantSame(t, again, got)
				continue
			}
			wantSame(t, got, want)
		}
	})
}

// FuzzFromMsg holds that no message makes us panic, and that an event we have read is valid and can be written again.
func FuzzFromMsg(f *testing.F) {
	f.Add("ce-id", "1", "Ce-Time", "2026-01-31T09:30:00Z", "ce-x", "%41", []byte("data"), true)
	f.Add("Content-Type", "application/cloudevents+json", "", "", "", "", []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":5}`), false)
	f.Add("Content-Type", "application/cloudevents", "ce-id", "", "", "", []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{},"x":1}`), false)
	f.Add("", "", "", "", "", "", []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"a/b","data":"x"}`), false)
	f.Add("ce-source", "//[::1%25a]", "ce-dataschema", "a:b", "ce-subject", `"\"`, []byte(""), true)
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2, name3, value3 string, data []byte, required bool) {
		h := nats.Header{}
		if required {
			maps.Copy(h, nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/s"}, "ce-type": {"t"}})
		}
		h.Set(name1, value1)
		h.Add(name2, value2)
		h.Set(name3, value3)
		e, err := binding.FromMsg(h, data)
		if err != nil {
			if e.Context != nil || err.Error() == "" || len(err.Error()) > 4000 {
				t.Errorf("got %v, %v", e, err)
			}
			if required && errors.Is(err, binding.ErrPlain) {
				t.Errorf("has attributes: %v", err)
			}
			return
		}
		if err := e.Validate(); err != nil {
			t.Fatalf("not valid: %v", err)
		}
		for _, enc := range encoders {
			m, err := enc.encode("a.b", e)
			if err != nil {
				t.Fatalf("%s: cannot pass on: %v", enc.name, err)
			}
			got, err := binding.FromMsg(m.Header, m.Data)
			if err != nil {
				t.Fatalf("%s: cannot read again: %v\n%s", enc.name, err, describe(m))
			}
			want := e
			if !got.DataBase64 && enc.name == "structured" && !bytes.Equal(got.Data(), e.Data()) {
				want.DataEncoded = bytes.Trim(e.Data(), " \t\r\n")
			}
			wantSame(t, got, want)
		}
	})
}
