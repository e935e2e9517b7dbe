package egress

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/translate/content"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// An answer in another character encoding is understood: a byte order mark or an unneeded header must not block a queue.
func TestAnswersInOtherForms(t *testing.T) {
	t.Parallel()
	const plain = `{"id":"t-1","title":"Prüfung","totalUserCount":7}`
	latin1 := strings.ReplaceAll(plain, "ü", "\xfc")
	utf16 := func(mark string) string {
		out := []byte(mark)
		for _, r := range plain {
			out = append(out, byte(r), byte(r>>8))
		}
		return string(out)
	}
	for name, tt := range map[string]struct {
		body, contentType, encoding string
		want                        string
	}{
		"a byte order mark":        {body: "\xef\xbb\xbf" + plain, want: plain},
		"UTF-16 with a mark":       {body: utf16("\xff\xfe"), want: plain},
		"UTF-16 that is declared":  {body: utf16(""), contentType: "application/json; charset=utf-16le", want: plain},
		"ISO 8859-1":               {body: latin1, contentType: `application/json; charset="ISO-8859-1"`, want: plain},
		"an unknown charset":       {body: plain, contentType: "application/json; charset=klingon", want: plain},
		"a letter that is none":    {body: latin1, want: strings.ReplaceAll(plain, "ü", "\ufffd")},
		"an encoding that is none": {body: plain, encoding: "Identity", want: plain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				answer := apitest.Reply{Status: 200, Body: tt.body, Header: map[string]string{"Content-Type": tt.contentType}}
				if tt.encoding != "" {
					answer.Header["Content-Encoding"] = tt.encoding
				}
				x := newRig(t, apitest.Always(answer))
				reader, store := newReader(t, x)
				for _, c := range []events.Command{create(), update()} {
					x.stores.sent, x.stores.ledger = nil, map[string]ledger.Record{}
					if got := x.wantDone(x.do(c), events.Applied, ""); string(got.result.Response) != tt.want {
						t.Errorf("%s: the response is %q, want %q", c.Operation, got.result.Response, tt.want)
					}
				}
				for _, most := range []int{1 << 10, 10} { // in the message, and beside it
					store.Most = most
					a := reader.Query(t.Context(), queries.Query{Address: events.Address{Cloud: "acme", Resource: "task", Operation: "getTask"}, Data: []byte(`{"taskId":"t-1"}`)})
					text := string(a.Data)
					if a.Object != nil {
						text = store.Kept[a.Object.Name]
					}
					if a.Status != 200 || text != tt.want {
						t.Errorf("the query is answered %d %q %v, want %q", a.Status, text, a.Error, tt.want)
					}
				}
			})
		})
	}
}

// An error text that is not UTF-8 does not make the rest of the result unreadable.
func TestErrorsInOtherForms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Always(apitest.Reply{Status: 422, Body: "{\"message\":\"Pr\xfcfung\"}"}))
		got := r.wantDone(r.do(update()), events.Rejected, events.CodeRefused)
		if text := got.event.Data(); !utf8.Valid(text) || !json.Valid(text) {
			t.Errorf("the result is %q", text)
		}
	})
}

// A read that ends within a character does not damage the text, and an error of the source is passed on.
func TestAnswersInParts(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x", 4095) + "ü" + strings.Repeat("y", 9000)
	got, err := io.ReadAll(content.Headers{}.Reader(io.MultiReader(strings.NewReader("\xef\xbb\xbf"+text), apitest.Failing{})))
	if string(got) != text || err != io.ErrUnexpectedEOF { //nolint:errorlint // exactly this one
		t.Errorf("%d bytes of %d, %v", len(got), len(text), err)
	}
}
