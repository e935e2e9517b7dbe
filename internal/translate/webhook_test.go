package translate_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

const minted = "0198c3a4-5b6c-7d8e-9f01-23456789abcd"

func receipt() translate.Receipt {
	return translate.Receipt{
		Cloud: "acme", Source: "urn:factro:cloud:acme", At: at, Origin: "webhook",
		NewID: func() string { return minted },
	}
}

var bom = []byte("\xef\xbb\xbf")

func subjectOf(e translate.Event) string {
	return events.Prefix("factro").Event("acme", e.Resource, e.EntityID, e.Action)
}

// bodies are the bodies in testdata, each with the event that it becomes in a file of the same name.
func bodies(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/webhook/*.body")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d bodies found, want them all: %v", len(files), err)
	}
	found := map[string][]byte{}
	for _, file := range files {
		if found[strings.TrimSuffix(file, ".body")], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func TestWebhookGolden(t *testing.T) {
	t.Parallel()
	for file, raw := range bodies(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			e, err := translate.Webhook(raw, receipt())
			if err != nil {
				t.Fatal(err)
			}
			data := bytes.TrimPrefix(raw, bom)
			if !bytes.Equal(e.Data(), data) || &e.Data()[0] != &data[0] {
				t.Errorf("the data is %q, want the body itself", e.Data())
			}
			wantGolden(t, file+".golden", subjectOf(e), e.Event)
		})
	}
}

func TestWebhookRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ body, want string }{
		"nothing":             {"", "not JSON"},
		"blanks":              {" \n", "not JSON"},
		"only a BOM":          {"\xef\xbb\xbf", "not JSON"},
		"two BOMs":            {"\xef\xbb\xbf\xef\xbb\xbf{\"action\":\"A\"}", "not JSON"},
		"UTF-16":              {"\xff\xfe{\x00}\x00", "not UTF-8"},
		"ISO 8859-1":          {"{\"action\":\"Gel\xf6scht\"}", "not UTF-8"},
		"half a surrogate":    {`{"action":"Task\ud800"}`, "surrogate"},
		"a form":              {"action=TaskCreated", "not JSON"},
		"compressed":          {"\x1f\x8b\x08\x00", "not UTF-8"},
		"cut off":             {`{"action":"TaskCreated"`, "not JSON"},
		"two objects":         {`{"action":"A"}{"action":"B"}`, "not JSON"},
		"deep":                {`{"action":"A","x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}", "not JSON"},
		"a list":              {`[{"action":"TaskCreated"}]`, "not a JSON object but an array"},
		"a string":            {`"TaskCreated"`, "not a JSON object but a string"},
		"a number":            {`17`, "not a JSON object but a number"},
		"a boolean":           {`true`, "not a JSON object but a boolean"},
		"null":                {`null`, "not a JSON object but null"},
		"no action":           {`{"context":{"entityId":"t1"}}`, "no action"},
		"in another case":     {`{"Action":"TaskCreated"}`, "no action"},
		"action null":         {`{"action":null}`, "action is null"},
		"action a number":     {`{"action":5}`, "action is a number"},
		"action a boolean":    {`{"action":true}`, "action is a boolean"},
		"action an object":    {`{"action":{}}`, "action is an object"},
		"action an array":     {`{"action":["A"]}`, "action is an array"},
		"action empty":        {`{"action":""}`, "action is blank"},
		"action blank":        {`{"action":" \t"}`, "action is blank"},
		"action of 257 bytes": {`{"action":"` + strings.Repeat("a", 257) + `"}`, "257 bytes, want at most 256"},
	} {
		e, err := translate.Webhook([]byte(tt.body), receipt())
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
		if e.Context != nil || e.Action != "" || e.Data() != nil {
			t.Errorf("%s: an error and an event: %v", name, e)
		}
		if err != nil && len(err.Error()) > 200 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

// TestWebhookMintsOnlyWhatIsMissing: an id that is minted in vain would be harmless, one that replaces factro's would not.
func TestWebhookMintsOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"action":"A","id":"factro's"}`: "factro's",
		`{"action":"A","id":-7}`:         "-7",
		`{"action":"A","id":0}`:          "0",
		`{"action":"A","id":90}`:         "90",
		`{"action":"A","id":""}`:         minted,
		`{"action":"A","id":[1]}`:        minted,
		`{"action":"A","id":1.50e2}`:     "1.50e2",
		`{"action":"A","id":true}`:       minted,
		`{"action":"A"}`:                 minted,
	} {
		r, calls := receipt(), 0
		r.NewID = func() string { calls++; return minted }
		e, err := translate.Webhook([]byte(body), r)
		if err != nil {
			t.Fatal(err)
		}
		if e.ID() != want || (calls == 1) != (want == minted) {
			t.Errorf("%s: got %s after %d calls", body, e.ID(), calls)
		}
	}
}

// TestWebhookLongestValues: an id of 256 bytes and an entity of 1024 are used as they are, and no longer ones.
func TestWebhookLongestValues(t *testing.T) {
	t.Parallel()
	id, entity := strings.Repeat("i", 256), strings.Repeat("e", 1024)
	webhook := func(id, entity string) translate.Event {
		t.Helper()
		e, err := translate.Webhook([]byte(`{"action":"TaskCreated","id":"`+id+`","context":{"entityId":"`+entity+`"}}`), receipt())
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := webhook(id, entity); e.ID() != id || e.EntityID != entity || e.Subject() != "task/"+entity {
		t.Errorf("got the id %q and the subject %q", e.ID(), e.Subject())
	}
	if e := webhook(id+"i", entity+"e"); len(e.ID()) != 36 || e.EntityID != "" || e.Subject() != "" {
		t.Errorf("got the id %q and the subject %q", e.ID(), e.Subject())
	}
}

// TestNewKeys: keys that the description of factro does not have are reported, eight at most, and none inside the context.
func TestNewKeys(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		`{"action":"A","id":"1","createdAt":"x","context":{"new":1}}`:          nil,
		`{"new":1,"action":"A","newer":{"newest":1}}`:                          {"new", "newer"},
		`{"action":"A","1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1}`: {"1", "2", "3", "4", "5", "6", "7", "8"},
	} {
		e, err := translate.Webhook([]byte(body), receipt())
		if err != nil || !slices.Equal(e.NewKeys, want) {
			t.Errorf("%s: got %q, %v, want %q", body, e.NewKeys, err, want)
		}
	}
}

// FuzzWebhook holds that whatever arrives is either refused or becomes an event that the stream can hold.
func FuzzWebhook(f *testing.F) {
	for _, raw := range bodies(f) {
		f.Add(raw)
	}
	f.Add([]byte(`[]`))
	f.Add([]byte(`{"action":"\u0000\ud800","id":"\u0007","createdAt":"0000-01-01T00:00:00Z","context":{"entityId":"%"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		kept := bytes.Clone(raw)
		e, err := translate.Webhook(raw, receipt())
		if !bytes.Equal(raw, kept) {
			t.Fatal("the body was changed")
		}
		again, errAgain := translate.Webhook(raw, receipt())
		if (err == nil) != (errAgain == nil) {
			t.Fatalf("%v, then %v", err, errAgain)
		}
		if err != nil {
			if e.Context != nil || err.Error() != errAgain.Error() {
				t.Errorf("got %v, %v, %v", e, err, errAgain)
			}
			return
		}
		if err := e.Validate(); err != nil {
			t.Fatalf("not valid: %v", err)
		}
		if !bytes.Equal(e.Data(), bytes.TrimPrefix(kept, bom)) {
			t.Error("the data is not the body")
		}
		subject := subjectOf(e)
		if subject != subjectOf(again) || e.ID() != again.ID() {
			t.Error("the same body gives two subjects or ids")
		}
		tokens := strings.Split(subject, ".")
		if len(tokens) != 6 || strings.ContainsAny(subject, " *>\t\r\n") {
			t.Errorf("the subject is %q", subject)
		}
		for _, token := range tokens {
			if token == "" || len(token) > 128 {
				t.Errorf("the subject is %q", subject)
			}
		}
		msg, err := events.ToMsg(subject, e.Event)
		if err != nil {
			t.Fatalf("it cannot be sent: %v", err)
		}
		size := 0
		for name, values := range msg.Header {
			size += len(name) + len(strings.Join(values, "")) + 4
		}
		if size > 16<<10 {
			t.Errorf("the headers have %d bytes", size)
		}
		read, err := events.FromMsg(msg.Header, msg.Data)
		if err != nil {
			t.Fatalf("it cannot be read: %v", err)
		}
		if action, ok := read.Extensions()[attr.Action].(string); !ok || action != e.Action || read.Type() != "com.factro."+e.Action {
			t.Errorf("the action is %q, want %q", read.Extensions()[attr.Action], e.Action)
		}
	})
}

// FuzzWebhookParts reaches with every input what only few bodies reach: the values behind the keys that are read.
func FuzzWebhookParts(f *testing.F) {
	f.Add("TaskCreated", "id", "2026-01-01T00:00:00Z", "entity")
	f.Add("Ä.>*", "\r\n", "9999-12-31T23:59:59-23:59", strings.Repeat("e", 2000))
	f.Add("a\x00", "%00", "0001-01-01T00:00:00+23:59", "")
	f.Fuzz(func(t *testing.T, action, id, createdAt, entity string) {
		e, err := translate.Webhook(jsonOf(t, map[string]any{
			"action": action, "id": id, "createdAt": createdAt, "context": map[string]any{"entityId": entity},
		}), receipt())
		if err != nil {
			if strings.TrimSpace(action) != "" && len(action) <= 80 { // each byte may become the three of U+FFFD
				t.Errorf("refused: %v", err)
			}
			return
		}
		if _, err := events.ToMsg(subjectOf(e), e.Event); err != nil {
			t.Errorf("it cannot be sent: %v", err)
		}
	})
}

func TestWebhookErrorsAreNotQuotes(t *testing.T) {
	t.Parallel()
	// A secret in a body that is no event must not come back in the error, which goes into headers and answers.
	_, err := translate.Webhook([]byte(`{"action":12,"x":"MARKER"}`), receipt())
	if err == nil || strings.Contains(err.Error(), "MARKER") || errors.Unwrap(err) == nil {
		t.Errorf("got %v", err)
	}
}
