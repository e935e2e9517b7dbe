package egress

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/query"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	oldKey     = "eyJ-the-old-key/0123456789"
	newKey     = "eyJ-the-new-key/9876543210"
	hookSecret = "webhook-secret-of-acme"
)

// textWithSecrets is a text with secrets in every usual encoding.
func textWithSecrets(secrets ...string) string {
	var b strings.Builder
	for _, s := range secrets {
		fmt.Fprintf(&b, "%s %s %s %s %s ", s, strings.ReplaceAll(s, "/", `\/`), strings.ReplaceAll(s, "-", `\u002d`), url.QueryEscape(s), hex.EncodeToString([]byte(s)))
		for n := range 3 {
			text := strings.Repeat("x", n) + s
			fmt.Fprintf(&b, "%s %s ", base64.StdEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text)))
		}
	}
	return strings.TrimSpace(b.String())
}

// secretFragments are parts of the secrets, in each encoding. Nothing may contain them.
func secretFragments() (all []string) {
	for _, s := range []string{oldKey, newKey, hookSecret} {
		for _, form := range []string{s, strings.ReplaceAll(s, "/", `\/`), strings.ReplaceAll(s, "-", `\u002d`), url.QueryEscape(s), hex.EncodeToString([]byte(s))} {
			all = append(all, form[len(form)-8:])
		}
		for n := range 3 {
			text := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("x", n) + s))
			all = append(all, text[8:16], text[len(text)-10:len(text)-2])
		}
	}
	return all
}

// newReader makes a reader that shares the API of a rig.
func newReader(t testing.TB, r *rig) (*query.Reader, *apitest.AnswerStore) {
	t.Helper()
	s := &apitest.AnswerStore{Most: 1 << 10, Kept: map[string]string{}}
	q, err := query.New(r.w.api, s, r.keys, nil, r.w.log)
	if err != nil {
		t.Fatal(err)
	}
	return q, s
}

// TestEchoedSecrets: if a server sends the secrets back, they do not get into results, dead letters, the ledger, answers to
// queries, what reconciliation reads, the log or the spans. That holds for the current key and the previous one.
func TestEchoedSecrets(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	text := textWithSecrets(oldKey, newKey, hookSecret)
	synctest.Test(t, func(t *testing.T) {
		write(t, file, oldKey)
		answer := apitest.OK(apitest.Fits)
		x := newRig(t, func(r *http.Request, _ string) apitest.Reply {
			if apitest.IsProbe(r) && answer.Status != 429 {
				return apitest.OK(apitest.Fits)
			}
			return answer
		}, func(c *coreapi.Config) {
			c.Key, c.Hidden = secret.Source{File: file}, []secret.Source{{Value: hookSecret}}
		})
		reader, store := newReader(t, x)
		x.wantDone(x.do(update()), events.Applied, "")
		write(t, file, newKey)
		time.Sleep(2 * time.Second) //nolint:forbidigo // in a bubble: until the file is read again

		n := 0
		next := func(c events.Command) events.Command {
			n++
			c.Event.SetID(fmt.Sprint("e-", n))
			return c
		}
		for name, a := range map[string]apitest.Reply{
			"good":             apitest.OK(`{"id":"t-1","title":"` + text + `"}`),
			"refused":          {Status: 400, Body: `{"message":"` + text + `","detail":["` + text + `"]}`},
			"refused, in text": {Status: 403, Body: text},
			"refused, HTML":    {Status: 403, Body: "<p>" + text, Header: map[string]string{"Content-Type": "text/html"}},
			"header":           {Status: 429, Header: map[string]string{"Retry-After": newKey, "Ratelimit": newKey}},
			"malformed":        apitest.OK(`{"error":"` + text + `"}`),
			"failure":          {Err: errors.New("malformed HTTP response \"" + newKey + "\"")},
			"in a list":        apitest.OK(`[{"id":"t-1","title":"` + text + `","creationDate":"2000-01-01T00:00:00Z"}]`),
		} {
			answer = a
			if name == "header" {
				x.w.api.Exchange(t.Context(), coreapi.Attempt{Op: coreapi.Probe, Number: 1}, probeCall, newKey)
				continue
			}
			_ = x.do(next(update()))
			_ = x.do(next(create()))
			for _, q := range []string{"getTask", "listTasks"} {
				data := "{}"
				if q == "getTask" {
					data = `{"taskId":"t-1"}`
				}
				got := reader.Query(t.Context(), queries.Query{Address: events.Address{Cloud: "acme", Resource: "task", Operation: q}, Data: []byte(data)})
				x.Add(fmt.Sprintf("%s: %s %+v", name, got.Data, got.Error))
				if got.Error != nil {
					x.Add(string(got.Error.Detail) + string(got.Error.Answer))
				}
			}
			err := x.w.api.Stored(t.Context(), time.Now(), func(record []byte) error { x.Add(string(record)); return nil })
			x.Add(fmt.Sprint(err))
			time.Sleep(time.Hour) //nolint:forbidigo // in a bubble: until the gate is open again
		}
		seen := x.String() + x.log.String()
		for _, s := range x.stores.sent {
			seen += string(s.event.Data()) + s.id
		}
		for _, r := range x.stores.ledger {
			seen += fmt.Sprintf("%s %+v %s", r.Result, r.Log, r.Made)
		}
		for _, content := range store.Kept {
			seen += content
		}
		for _, s := range spans.GetSpans() {
			seen += fmt.Sprintf("%s %v %v %v", s.Name, s.Attributes, s.Events, s.Status)
		}
		for _, trace := range secretFragments() {
			if at := strings.Index(seen, trace); at >= 0 {
				t.Errorf("%q is seen: %.200s", trace, seen[max(0, at-100):])
			}
		}
		if n := strings.Count(seen, "[hidden]"); n < 30 {
			t.Errorf("%d places were hidden; the answers did not get through", n)
		}
	})
}
