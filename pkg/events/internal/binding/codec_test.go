package binding_test

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// nasty are values that must come back as they were.
var nasty = []string{
	"Euro € 😀", "Müller & Söhne", `say "hi" to C:\temp`, `"quoted"`, "100% %25 %zz", "a\r\nce-id: forged", "\ttab\x00nul\x7f",
	" blanks around ", "a;b,c=d", "\u2028", "e\u0301", "%", "日本語", strings.Repeat("ä", 1000),
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, enc := range encoders {
		for _, value := range nasty {
			e := taskEvent(t)
			c := e.Context.(*event.EventContextV1)
			c.ID, c.Subject = "id"+value, new("subject"+value)
			c.Extensions["note"] = value
			c.Extensions["empty"] = ""
			wantSame(t, roundTrip(t, enc, e), e)
		}
	}
}

func TestBinaryHeaders(t *testing.T) {
	t.Parallel()
	e := taskEvent(t)
	c := e.Context.(*event.EventContextV1)
	c.Subject = new("Euro € 😀")
	c.Time = &types.Timestamp{Time: time.Date(2026, 1, 31, 10, 30, 0, 100, time.FixedZone("", 3600))}
	c.DataSchema = &types.URI{URL: uri(t, "https://example.com/schema%20a#b")}
	c.DataContentType = new("application/json; charset=utf-8")
	c.Extensions = map[string]any{
		"bool": true, "int": int32(math.MinInt32), "bytes": []byte{0, 0xfb, 0xff}, "plain": "a~!b",
		"uri": types.URI{URL: uri(t, "https://example.com/ä")}, "when": types.Timestamp{Time: c.Time.Time},
		"small": uint8(7), "wide": int64(42), "pointer": new("p"), "clock": c.Time.Time,
	}
	m, err := binding.ToMsg("a.b", e)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"ce-specversion": "1.0", "ce-id": e.ID(), "ce-source": "urn:factro:cloud:acme", "ce-type": e.Type(),
		"ce-subject": "Euro%20%E2%82%AC%20%F0%9F%98%80", "ce-time": "2026-01-31T09:30:00.0000001Z",
		"ce-dataschema": "https://example.com/schema%2520a#b", "ce-datacontenttype": "application/json;%20charset=utf-8",
		"ce-bool": "true", "ce-int": "-2147483648", "ce-bytes": "APv/", "ce-plain": "a~!b",
		"ce-uri": "https://example.com/%25C3%25A4", "ce-when": "2026-01-31T09:30:00.0000001Z",
		"ce-small": "7", "ce-wide": "42", "ce-pointer": "p", "ce-clock": "2026-01-31T09:30:00.0000001Z",
	}
	for name, value := range want {
		if got := m.Header[name]; len(got) != 1 || got[0] != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
	}
	if len(m.Header) != len(want) || m.Subject != "a.b" || string(m.Data) != string(e.Data()) {
		t.Errorf("got subject %q, data %q, headers %q", m.Subject, m.Data, m.Header)
	}
	// The values share an array; an appended one must not land in a neighbour.
	m.Header.Add("ce-id", "second")
	for name, value := range want {
		if m.Header[name][0] != value {
			t.Errorf("after Add: %s = %q, want %q", name, m.Header[name], value)
		}
	}
}

func TestStructuredPayload(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		contentType string
		base64      bool
		data        string
		want        string // the member of the object, as it is written; "" for none
	}{
		"JSON":                 {"application/json", false, `{"a": 1.10, "b":"<ü>"}`, `"data":{"a": 1.10, "b":"<ü>"}`},
		"JSON marked as bytes": {"application/json", true, `{"a":1}`, `"data":{"a":1}`},
		"JSON with parameters": {"Application/JSON; charset=utf-8", true, `[1]`, `"data":[1]`},
		"a JSON format":        {"application/problem+json", false, `{"a":1}`, `"data":{"a":1}`},
		"null":                 {"application/json", false, `null`, `"data":null`},
		"no type":              {"", false, `{"a":1}`, `"data":{"a":1}`},
		"bytes of no type":     {"", true, `{"a":1}`, `"data_base64":"eyJhIjoxfQ=="`},
		"no JSON at all":       {"application/json", false, `{"a":`, `"data_base64":"eyJhIjo="`},
		"JSON in Latin-1":      {"application/json", false, "\"\xfc\"\n", `"data_base64":"IvwiCg=="`},
		"text":                 {"text/plain", false, "a \"ü\"\n", `"data":"a \"ü\"\n"`},
		"text marked as bytes": {"text/plain", true, "abc", `"data_base64":"YWJj"`},
		"bytes":                {"image/png", false, "\x89PNG", `"data_base64":"iVBORw=="`},
		"nothing":              {"application/json", false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := taskEvent(t)
			c := e.Context.(*event.EventContextV1)
			c.DataContentType = nil
			if tt.contentType != "" {
				c.DataContentType = &tt.contentType
			}
			e.DataEncoded, e.DataBase64 = []byte(tt.data), tt.base64
			m, err := binding.ToStructuredMsg("a.b", e)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Header.Get("Content-Type"); got != "application/cloudevents+json" || len(m.Header) != 1 {
				t.Errorf("headers %q", m.Header)
			}
			if !json.Valid(m.Data) || !strings.Contains(string(m.Data), tt.want) {
				t.Errorf("got %s, want %s in it", m.Data, tt.want)
			}
			if strings.Contains(string(m.Data), `"data"`) != strings.HasPrefix(tt.want, `"data"`) {
				t.Errorf("got %s, want %q and no other data", m.Data, tt.want)
			}
			for _, enc := range encoders {
				wantSame(t, roundTrip(t, enc, e), e)
			}
		})
	}
}

// TestStructuredWithoutMark: JSON behind a byte order mark, as older bridges kept it, is JSON and no bytes.
func TestStructuredWithoutMark(t *testing.T) {
	t.Parallel()
	e := taskEvent(t)
	e.DataEncoded = []byte("\xef\xbb\xbf{\"a\":1}")
	m, err := binding.ToStructuredMsg("a.b", e)
	if err != nil || !json.Valid(m.Data) || !strings.Contains(string(m.Data), `"data":{"a":1}`) {
		t.Errorf("got %s: %v", m.Data, err)
	}
}

// TestStructuredText: text is written as it is, unless JSON wants something of it escaped.
func TestStructuredText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a <b> & ~ ü\u2028": "\"a <b> & ~ ü\u2028\"", `a"b`: `"a\"b"`, `a\b`: `"a\\b"`, "a\x1fb": `"a\u001fb"`, "a\nb": `"a\nb"`,
	} {
		e := taskEvent(t)
		e.Context.(*event.EventContextV1).Subject = &text
		m, err := binding.ToStructuredMsg("a.b", e)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if !strings.Contains(string(m.Data), `"subject":`+want+`,`) {
			t.Errorf("%q: got %s, want %s in it", text, m.Data, want)
		}
	}
}

// TestStructuredReadBySDK proves that the SDK reads what we write, and that we read what it writes.
func TestStructuredReadBySDK(t *testing.T) {
	t.Parallel()
	e := taskEvent(t)
	c := e.Context.(*event.EventContextV1)
	c.Subject = new("Müller \"&\" Söhne\n")
	c.Extensions["dryrun"], c.Extensions["count"] = true, int32(-3)
	m, err := binding.ToStructuredMsg("a.b", e)
	if err != nil {
		t.Fatal(err)
	}
	var got event.Event
	if err := json.Unmarshal(m.Data, &got); err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, e)

	written, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	got, err = binding.FromMsg(nil, written)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, e)
	if got.Extensions()["dryrun"] != true || got.Extensions()["count"] != int32(-3) {
		t.Errorf("extensions lost their types: %#v", got.Extensions())
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*event.EventContextV1)
		want   string
	}{
		"no id":            {func(c *event.EventContextV1) { c.ID = " " }, "attribute id: MUST be a non-empty string"},
		"no source":        {func(c *event.EventContextV1) { c.Source.URL = url.URL{} }, "attribute source: REQUIRED"},
		"no type":          {func(c *event.EventContextV1) { c.Type = "" }, "attribute type: MUST be"},
		"empty subject":    {func(c *event.EventContextV1) { c.Subject = new("") }, "attribute subject: if present"},
		"bad content type": {func(c *event.EventContextV1) { c.DataContentType = new("a b") }, "attribute datacontenttype: failed"},
		"relative schema": {
			func(c *event.EventContextV1) { c.DataSchema = &types.URI{URL: url.URL{Path: "/a"}} },
			"attribute dataschema: if present",
		},
		"two mistakes": {func(c *event.EventContextV1) { c.ID, c.Type = "", "" }, "attribute id: MUST be a non-empty string; attribute type: "},
		"data":         {func(c *event.EventContextV1) { c.Extensions["data"] = "x" }, "attribute data: the name is reserved"},
		"core name":    {func(c *event.EventContextV1) { c.Extensions["id"] = "x" }, "attribute id: the name is that of"},
		"underscore":   {func(c *event.EventContextV1) { c.Extensions["a_b"] = "x" }, "attribute a_b: the name has a character other than"},
		"upper case":   {func(c *event.EventContextV1) { c.Extensions["Abc"] = "x" }, "attribute Abc: the name has a character other than"},
		"before a":     {func(c *event.EventContextV1) { c.Extensions["a`"] = "x" }, "attribute a`: the name has a character other than"},
		"behind z":     {func(c *event.EventContextV1) { c.Extensions["a{"] = "x" }, "attribute a{: the name has a character other than"},
		"before 0":     {func(c *event.EventContextV1) { c.Extensions["a/"] = "x" }, "attribute a/: the name has a character other than"},
		"behind 9":     {func(c *event.EventContextV1) { c.Extensions["a:"] = "x" }, "attribute a:: the name has a character other than"},
		"line break":   {func(c *event.EventContextV1) { c.Extensions["a\r\nb"] = "x" }, `attribute "a\r\nb": the name has a character other than`},
		"empty name":   {func(c *event.EventContextV1) { c.Extensions[""] = "x" }, `attribute "": the name is empty`},
		"long name": {
			func(c *event.EventContextV1) { c.Extensions[strings.Repeat("A", 999)] = "x" },
			`attribute "` + strings.Repeat("A", 80) + `"…: the name has`,
		},
		"not UTF-8":      {func(c *event.EventContextV1) { c.Extensions["x"] = "\xff" }, "attribute x is not UTF-8"},
		"id not UTF-8":   {func(c *event.EventContextV1) { c.ID = "\xff" }, "attribute id is not UTF-8"},
		"float":          {func(c *event.EventContextV1) { c.Extensions["x"] = 1.5 }, "attribute x is a float64, which is no type"},
		"big integer":    {func(c *event.EventContextV1) { c.Extensions["x"] = int64(1 << 40) }, "attribute x is a int64, which is"},
		"slice":          {func(c *event.EventContextV1) { c.Extensions["x"] = []string{"s3cret"} }, "attribute x is a []string, which is no type"},
		"nil":            {func(c *event.EventContextV1) { c.Extensions["x"] = nil }, "attribute x is a <nil>, which is no type"},
		"nil pointer":    {func(c *event.EventContextV1) { c.Extensions["x"] = (*types.URI)(nil) }, "attribute x is a *types.URI, which is no type"},
		"far future":     {func(c *event.EventContextV1) { c.Time.Time = time.Unix(1<<40, 0) }, "attribute time is in the year 36812, want 0 to 9999"},
		"long ago":       {func(c *event.EventContextV1) { c.Time.Time = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) }, "is in the year -1"},
		"long ago there": {func(c *event.EventContextV1) { c.Extensions["x"] = time.Unix(-1<<40, 0) }, "attribute x is in the year -"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, enc := range encoders {
				e := taskEvent(t)
				tt.change(e.Context.(*event.EventContextV1))
				m, err := enc.encode("a.b", e)
				if err == nil {
					t.Fatalf("%s: got %s, want an error", enc.name, describe(m))
				}
				if !strings.HasPrefix(err.Error(), "encode event: ") || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s: got %q, want %q in it", enc.name, err, tt.want)
				}
				if strings.Contains(err.Error(), "s3cret") || strings.ContainsAny(err.Error(), "\r\n") {
					t.Errorf("%s: the error tells too much: %q", enc.name, err)
				}
			}
		})
	}
	for name, e := range map[string]event.Event{
		"zero": {},
		"old encoding": {Context: &event.EventContextV03{
			ID: "1", Type: "t", Source: types.URIRef{URL: url.URL{Path: "/s"}},
			DataContentEncoding: new("base64"),
		}},
		"errors of setters": func() event.Event { e := taskEvent(t); e.SetTime(time.Now()); e.SetSource(":"); return e }(),
	} {
		if m, err := binding.ToMsg("a.b", e); err == nil {
			t.Errorf("%s: got %s, want an error", name, describe(m))
		}
	}
}

// TestLongNames holds what CloudEvents recommends but does not demand: we pass it on.
func TestLongNames(t *testing.T) {
	t.Parallel()
	e := taskEvent(t)
	for _, name := range []string{"0comexampleextensionwithalongname", "a", "z", "0", "9", "az09"} {
		e.Context.(*event.EventContextV1).Extensions[name] = "x"
	}
	for _, enc := range encoders {
		wantSame(t, roundTrip(t, enc, e), e)
	}
}

func TestReadBinary(t *testing.T) {
	t.Parallel()
	minimal := nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/s"}, "ce-type": {"t"}}
	for name, tt := range map[string]struct{ header, value, attribute, want string }{
		"plain":                {"ce-x", "a", "x", "a"},
		"mixed case":           {"Ce-X", "a", "x", "a"},
		"upper case":           {"CE-X", "a", "x", "a"},
		"lower-case hex":       {"ce-x", "%e2%82%ac", "x", "€"},
		"needless escapes":     {"ce-x", "%41%62", "x", "Ab"},
		"only one round":       {"ce-x", "%2541", "x", "%41"},
		"quoted":               {"ce-x", `"a b"`, "x", "a b"},
		"quoted and escaped":   {"ce-x", `"a \"b\" \\ %C3%BC"`, "x", `a "b" \ ü`},
		"quoted blanks":        {"ce-x", `" a "`, "x", " a "},
		"quoted nothing":       {"ce-x", `""`, "x", ""},
		"quote inside":         {"ce-x", `a"b`, "x", `a"b`},
		"blanks around":        {"ce-x", " \ta ", "x", "a"},
		"raw umlauts":          {"ce-subject", "Müller & Söhne", "subject", "Müller & Söhne"},
		"empty":                {"ce-x", "", "x", ""},
		"offset":               {"ce-time", "2026-01-31T10:30:00.5+01:00", "time", "2026-01-31T09:30:00.5Z"},
		"nanoseconds":          {"ce-time", "2026-01-31T09:30:00.123456789Z", "time", "2026-01-31T09:30:00.123456789Z"},
		"batch type elsewhere": {"X-Content-Type", "application/cloudevents-batch+json", "id", "1"},
		"JSON type":            {"content-type", "application/json", "datacontenttype", ""},
		"binary by type":       {"content-type", "application/cloudeventsish", "id", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nats.Header{tt.header: {tt.value}}
			maps.Copy(h, minimal)
			data := []byte{0, 1, 0xff}
			e, err := binding.FromMsg(h, data)
			if err != nil {
				t.Fatal(err)
			}
			if got := canonical(t, e)[tt.attribute]; got != tt.want {
				t.Errorf("%s = %q, want %q", tt.attribute, got, tt.want)
			}
			if !slices.Equal(e.Data(), data) {
				t.Errorf("data %q, want %q", e.Data(), data)
			}
		})
	}
}

// TestReadCanonicalised: programs that write all headers as HTTP does are understood.
func TestReadCanonicalised(t *testing.T) {
	t.Parallel()
	e, err := binding.FromMsg(nats.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Source": {"/s"}, "Ce-Type": {"t"}, "Ce-Subject": {"x"}}, nil)
	if err != nil || e.ID() != "1" || e.Source() != "/s" || e.Type() != "t" || e.Subject() != "x" {
		t.Errorf("got %v, %v", e, err)
	}
}

// TestReadNoData: an event without data has none, and not data of no bytes.
func TestReadNoData(t *testing.T) {
	t.Parallel()
	object := func(more string) []byte {
		return []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t"` + more + `}`)
	}
	binary := nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/s"}, "ce-type": {"t"}}
	for name, tt := range map[string]struct {
		header nats.Header
		data   []byte
	}{
		"binary":     {binary, []byte{}},
		"structured": {nil, object("")},
		"null":       {nil, object(`,"datacontenttype":"text/plain","data":null`)},
		"base64":     {nil, object(`,"data_base64":""`)},
		"no base64":  {nil, object(`,"data_base64":null`)},
		"no text":    {nil, object(`,"datacontenttype":"text/plain","data":""`)},
	} {
		if e, err := binding.FromMsg(tt.header, tt.data); err != nil || e.DataEncoded != nil {
			t.Errorf("%s: got %q, %v", name, e.DataEncoded, err)
		}
	}
}

// TestReadRepeated: of a member that is there more than once no value counts, and nothing else is said about it.
func TestReadRepeated(t *testing.T) {
	t.Parallel()
	for members, names := range map[string][]string{
		`"a":1.5,"a":[]`:               {"a"},
		`"a":[],"a":1,"a":"x"`:         {"a"},
		`"zz":1.5,"zz":[]`:             {"zz"},
		`"m":1.5,"l":"x","m":1.5`:      {"m"},
		`"a":1.5,"b":1.5,"a":1,"b":[]`: {"a", "b"},
		`"data":1,"data":2`:            {"data"},
	} {
		var want []string
		for _, name := range names {
			want = append(want, "attribute "+name+" is given more than once")
		}
		e, err := binding.FromMsg(nil, []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t",`+members+`}`))
		if err == nil || err.Error() != "decode message: "+strings.Join(want, "; ") {
			t.Errorf("%s: got %v, %v", members, e, err)
		}
	}
}

// TestTimes: the years 0 to 9999 in UTC can be written, and are read as RFC 3339 has them.
func TestTimes(t *testing.T) {
	t.Parallel()
	for text, at := range map[string]time.Time{
		"0000-01-01T00:00:00Z":           time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		"9999-12-31T23:59:59.999999999Z": time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		"2026-01-31T09:30:00.1Z":         time.Date(2026, 1, 31, 9, 30, 0, 1e8, time.UTC),
	} {
		if got, ok := binding.FormatTime(at.In(time.FixedZone("", -3600))); got != text || !ok {
			t.Errorf("%s is written as %s, %t", text, got, ok)
		}
		if got, ok := binding.ParseTime(text); !got.Equal(at) || !ok {
			t.Errorf("%s is read as %s, %t", text, got, ok)
		}
	}
	for _, text := range []string{"", "2026-01-31T09", "2026-01-31T09:", "2026-01-31T9:30:00Z", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00", "10000-01-01T00:00:00Z"} {
		if got, ok := binding.ParseTime(text); ok {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}

// TestQuotes: an error quotes 80 bytes of a value, and cuts no character in two.
func TestQuotes(t *testing.T) {
	t.Parallel()
	x := strings.Repeat("x", 80)
	for value, want := range map[string]string{
		"":                                  `""`,
		"a b":                               `"a b"`,
		x:                                   `"` + x + `"`,
		x + "x":                             `"` + x + `"…`,
		x[:79] + "ä":                        `"` + x[:79] + `"…`,
		x[:78] + "äx":                       `"` + x[:78] + `ä"…`,
		x[:77] + "😀":                        `"` + x[:77] + `"…`,
		x[:76] + "😀x":                       `"` + x[:76] + `😀"…`,
		x[:70] + "\x80" + x:                 `"` + x[:70] + `\x80` + x[:9] + `"…`,
		x[:60] + strings.Repeat("\x80", 60): `"` + x[:60] + strings.Repeat(`\x80`, 16) + `"…`,
	} {
		if got := binding.Quote(value); got != want {
			t.Errorf("%q is quoted as %s, want %s", value, got, want)
		}
	}
	for name, want := range map[string]string{"": `""`, "a": "a", "!~": "!~", "a b": `"a b"`, "a\x7f": `"a\x7f"`, `a"`: `"a\""`, "ä": `"ä"`, x: x, x + "x": `"` + x + `"…`} {
		if got := binding.Printable(name); got != want {
			t.Errorf("%q is named %s, want %s", name, got, want)
		}
	}
}

func TestReadStructured(t *testing.T) {
	t.Parallel()
	const payload = ` {"specversion":"1.0","id":"1","source":"/s","type":"t","subject":null,"n":-5,"b":false,"data":{"ü": 1 }}`
	for _, contentType := range []string{
		"", "application/json", "application/cloudevents", "application/cloudevents+json",
		"Application/CloudEvents+JSON; charset=utf-8", " application/cloudevents ;a=b",
	} {
		for _, name := range []string{"Content-Type", "content-type"} {
			h := nats.Header{name: {contentType}, "ce-id": nil}
			if !strings.Contains(strings.ToLower(contentType), "cloudevents") {
				delete(h, "ce-id") // headers of attributes would make it binary
			}
			e, err := binding.FromMsg(h, []byte(payload))
			if err != nil {
				t.Errorf("%q: %v", contentType, err)
				continue
			}
			if string(e.Data()) != `{"ü": 1 }` || e.ID() != "1" || e.Subject() != "" {
				t.Errorf("%q: got %v", contentType, e)
			}
			if x := e.Extensions(); x["n"] != int32(-5) || x["b"] != false {
				t.Errorf("%q: extensions %#v", contentType, x)
			}
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		"", "{}", "[]", "null", "hello", `"specversion"`, `{"a":"specversion"}`, `[{"specversion":"1.0"}]`, `{"specversion":`,
		`{"nested":{"specversion":"1.0"}}`, "\xff\xfespecversion",
	} {
		e, err := binding.FromMsg(nats.Header{"Nats-Msg-Id": {"1"}, "traceparent": {"x"}, "Ce": {"x"}}, []byte(data))
		if !errors.Is(err, binding.ErrPlain) || e.Context != nil {
			t.Errorf("%q: got %v, %v; want ErrPlain", data, e, err)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	binary := func(change ...string) nats.Header {
		h := nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/s"}, "ce-type": {"t"}}
		for i := 0; i < len(change); i += 2 {
			if change[i+1] == "-" {
				delete(h, change[i])
				continue
			}
			h[change[i]] = []string{change[i+1]}
		}
		return h
	}
	structured := nats.Header{"Content-Type": {"application/cloudevents+json"}}
	object := func(more string) string { return `{"specversion":"1.0","id":"1","source":"/s","type":"t"` + more + `}` }
	long := strings.Repeat("ä", 500)

	for name, tt := range map[string]struct {
		header nats.Header
		data   string
		want   string // all of the error behind "decode message: "
	}{
		"no specversion":     {binary("ce-specversion", "-"), "", `header ce-specversion is missing`},
		"other version":      {binary("ce-specversion", "0.3"), "", `header ce-specversion is "0.3", want "1.0"`},
		"only an extension":  {nats.Header{"ce-x": {"1"}}, "", `header ce-id is missing; header ce-source is missing; header ce-specversion is missing; header ce-type is missing`},
		"empty id":           {binary("ce-id", ""), "", `attribute id: MUST be a non-empty string`},
		"empty source":       {binary("ce-source", ""), "", `header ce-source is empty, want a URI`},
		"bad source":         {binary("ce-source", "http://u:s3cret@[::1"), "", `header ce-source is no URI: missing ']' in host`},
		"bad schema":         {binary("ce-dataschema", "%2Fa"), "", `attribute dataschema: if present, MUST adhere to the format specified in RFC 3986, Section 4.3. Absolute URI`},
		"bad time":           {binary("ce-time", "yesterday"), "", `header ce-time is "yesterday", want RFC 3339 such as 2026-01-31T09:30:00Z`},
		"time with comma":    {binary("ce-time", "2026-01-31T09:30:00,5Z"), "", `header ce-time is "2026-01-31T09:30:00,5Z", want RFC 3339 such as 2026-01-31T09:30:00Z`},
		"hour of one digit":  {binary("ce-time", "2026-01-31T9:30:00Z"), "", `header ce-time is "2026-01-31T9:30:00Z", want RFC 3339 such as 2026-01-31T09:30:00Z`},
		"time before time":   {binary("ce-time", "0000-01-01T00:00:00+01:00"), "", `header ce-time is "0000-01-01T00:00:00+01:00", want RFC 3339 such as 2026-01-31T09:30:00Z`},
		"long time":          {binary("ce-time", long), "", `header ce-time is "` + strings.Repeat("ä", 40) + `"…, want RFC 3339 such as 2026-01-31T09:30:00Z`},
		"empty subject":      {binary("ce-subject", ""), "", `attribute subject: if present, MUST be a non-empty string`},
		"bad content type":   {binary("ce-datacontenttype", "a%20b"), "", `attribute datacontenttype: failed to parse RFC 2046 media type mime: expected slash after first token`},
		"broken escape":      {binary("ce-x", "100%"), "", `header ce-x has the broken escape "%", want % and two hex digits (a percent sign is %25)`},
		"half an escape":     {binary("ce-x", "%4"), "", `header ce-x has the broken escape "%4", want % and two hex digits (a percent sign is %25)`},
		"no hex":             {binary("ce-x", "%zzs3cret"), "", `header ce-x has the broken escape "%zz", want % and two hex digits (a percent sign is %25)`},
		"overlong UTF-8":     {binary("ce-x", "%C0%A0"), "", `header ce-x is not UTF-8`},
		"raw Latin-1":        {binary("ce-x", "M\xfcller"), "", `header ce-x is not UTF-8`},
		"half a surrogate":   {binary("ce-x", "%ED%A0%80"), "", `header ce-x is not UTF-8`},
		"open quote":         {binary("ce-x", `"a`), "", `header ce-x has no closing quote`},
		"escaped end":        {binary("ce-x", `"a\`), "", `header ce-x has no closing quote`},
		"behind the quote":   {binary("ce-x", `"a" b`), "", `header ce-x goes on after its closing quote`},
		"name with a dash":   {binary("ce-a-b", "x"), "", `header ce-a-b: the name has a character other than a-z and 0-9`},
		"no name":            {binary("ce-", "x"), "", `header ce-"": the name is empty`},
		"data as a header":   {binary("ce-data", "x"), "", `header ce-data: the name is reserved for the data of the event`},
		"strange name":       {binary("ce-\"ü", "x"), "", `header ce-"\"ü": the name has a character other than a-z and 0-9`},
		"long name":          {binary("ce-"+strings.Repeat("_", 200), "x"), "", `header ce-"` + strings.Repeat("_", 80) + `"…: the name has a character other than a-z and 0-9`},
		"same name":          {binary("Ce-Id", "2"), "", `header ce-id is given 2 times, want once`},
		"same name thrice":   {nats.Header{"ce-specversion": {"1.0"}, "ce-source": {"s"}, "ce-type": {"t"}, "Ce-Id": {"1", "2"}, "CE-ID": {"1"}}, "", `header ce-id is given 3 times, want once`},
		"two values":         {nats.Header{"ce-specversion": {"1.0"}, "ce-source": {"s"}, "ce-type": {"t"}, "ce-id": {"1", "1"}}, "", `header ce-id is given 2 times, want once`},
		"no value":           {nats.Header{"ce-specversion": {"1.0"}, "ce-source": {"s"}, "ce-type": {"t"}, "ce-id": {}}, "", `header ce-id is given 0 times, want once`},
		"a batch":            {nats.Header{"content-type": {"application/cloudevents-batch+json"}}, "[]", `header Content-Type is "application/cloudevents-batch+json", want one value, for a structured event application/cloudevents+json`},
		"other format":       {nats.Header{"Content-Type": {"application/cloudevents+avro"}}, "", `header Content-Type is "application/cloudevents+avro", want one value, for a structured event application/cloudevents+json`},
		"two content types":  {nats.Header{"Content-Type": {"application/cloudevents+json"}, "content-type": {"text/plain"}}, "", `header Content-Type is given more than once, want one value, for a structured event application/cloudevents+json`},
		"empty payload":      {structured, "", `payload is no JSON: unexpected end of JSON input`},
		"no JSON":            {structured, "s3cret", `payload is no JSON: invalid character 's' looking for beginning of value`},
		"trailing bytes":     {structured, object("") + "s3cret", `payload is no JSON: invalid character 's' after top-level value`},
		"array":              {structured, "[]", `payload is an array, want an object`},
		"null":               {structured, "null", `payload is null, want an object`},
		"Latin-1":            {structured, object(",\"x\":\"\xfc\""), `payload is not UTF-8 at byte 60`},
		"cut-off character":  {structured, "{\"\xe2\x82", `payload is not UTF-8 at byte 2`},
		"byte order mark":    {structured, "\xef\xbb\xbf" + object(""), `payload begins with a byte order mark, which JSON does not allow`},
		"empty object":       {structured, "{}", `attribute id is missing; attribute source is missing; attribute specversion is missing; attribute type is missing`},
		"number as id":       {nil, `{"specversion":"1.0","id":1,"source":"/s","type":"t"}`, `attribute id is a number, want a string`},
		"half a pair as id":  {nil, `{"specversion":"1.0","id":"\ud800","source":"/s","type":"t"}`, `attribute id is no valid text: it has half of a surrogate pair`},
		"number as version":  {nil, `{"specversion":1.0,"id":"1","source":"/s","type":"t"}`, `attribute specversion is a number, want a string`},
		"null as version":    {nil, `{"specversion":null,"id":"1","source":"/s","type":"t"}`, `attribute specversion is missing`},
		"twice":              {nil, object(`,"id":"2"`), `attribute id is given more than once`},
		"upper case":         {nil, object(`,"Subject":"2"`), `attribute Subject: the name has a character other than a-z and 0-9`},
		"empty name":         {nil, object(`,"":"2"`), `attribute "": the name is empty`},
		"fraction":           {nil, object(`,"x":1.5`), `attribute x is the number 1.5, want a whole one of 32 bits`},
		"too big":            {nil, object(`,"x":2147483648`), `attribute x is the number 2147483648, want a whole one of 32 bits`},
		"array as attribute": {nil, object(`,"x":["s3cret"]`), `attribute x is an array, want a string, a boolean or a whole number`},
		"both data":          {nil, object(`,"data":1,"data_base64":"AA=="`), `data and data_base64 are both there, want one of them`},
		"number as base64":   {nil, object(`,"data_base64":5`), `data_base64 is a number, want a string`},
		"bad base64":         {nil, object(`,"data_base64":"%"`), `data_base64 is no base64: illegal base64 data at input byte 0`},
		"object as text":     {nil, object(`,"datacontenttype":"text/plain","data":{}`), `data is an object, want a string, since datacontenttype is "text/plain"`},
		"many":               {nil, object(`,"time":"now","x":{},"data_base64":1`), `attribute time is "now", want RFC 3339 such as 2026-01-31T09:30:00Z; attribute x is an object, want a string, a boolean or a whole number; data_base64 is a number, want a string`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := binding.FromMsg(tt.header, []byte(tt.data))
			if err == nil {
				t.Fatalf("got %v, want an error", e)
			}
			if want := "decode message: " + tt.want; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("\n got %s\nwant %s", err, want)
			}
			if errors.Is(err, binding.ErrPlain) || e.Context != nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, %v", e, err)
			}
		})
	}
}
