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

	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	oldKey     = "eyJ-the-old-key/0123456789"
	newKey     = "eyJ-the-new-key/9876543210"
	hookSecret = "webhook-secret-of-acme"
)

// echo is a text that holds secrets in every way that is usual.
func echo(secrets ...string) string {
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

// traces are parts of the secrets that nothing may hold, each in one way to write it.
func traces() (all []string) {
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

// TestEchoedSecrets: a server that sends our secrets back does not bring them into results, dead letters, the ledger, the
// answers to queries, what reconciliation reads, the log or the spans; neither the key in use nor the one before.
func TestEchoedSecrets(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	text := echo(oldKey, newKey, hookSecret)
	synctest.Test(t, func(t *testing.T) {
		write(t, file, oldKey)
		answer := ok(fits)
		x := newReading(t, func(r *http.Request, _ string) reply {
			if isProbe(r) && answer.status != 429 {
				return ok(fits)
			}
			return answer
		}, func(c *Config) {
			c.Key, c.Hidden = secret.Source{File: file}, []secret.Source{{Value: hookSecret}}
		})
		x.wantDone(x.do(update()), events.Applied, "")
		write(t, file, newKey)
		time.Sleep(2 * time.Second) //nolint:forbidigo // in a bubble: until the file is read again

		n := 0
		next := func(c events.Command) events.Command {
			n++
			c.Event.SetID(fmt.Sprint("e-", n))
			return c
		}
		for name, a := range map[string]reply{
			"good":             ok(`{"id":"t-1","title":"` + text + `"}`),
			"refused":          {status: 400, body: `{"message":"` + text + `","detail":["` + text + `"]}`},
			"refused, in text": {status: 403, body: text},
			"refused, HTML":    {status: 403, body: "<p>" + text, header: map[string]string{"Content-Type": "text/html"}},
			"header":           {status: 429, header: map[string]string{"Retry-After": newKey, "Ratelimit": newKey}},
			"malformed":        ok(`{"error":"` + text + `"}`),
			"failure":          {err: errors.New("malformed HTTP response \"" + newKey + "\"")},
			"in a list":        ok(`[{"id":"t-1","title":"` + text + `","creationDate":"2000-01-01T00:00:00Z"}]`),
		} {
			answer = a
			if name == "header" {
				x.w.exchange(t.Context(), attempt{op: probe, number: 1}, probeCall, newKey)
				continue
			}
			_ = x.do(next(update()))
			_ = x.do(next(create()))
			for _, q := range []string{"getTask", "listTasks"} {
				data := "{}"
				if q == "getTask" {
					data = `{"taskId":"t-1"}`
				}
				got := x.ask(query(q, data))
				x.add(fmt.Sprintf("%s: %s %+v", name, got.Data, got.Error))
				if got.Error != nil {
					x.add(string(got.Error.Detail) + string(got.Error.Answer))
				}
			}
			err := x.w.Stored(t.Context(), time.Now(), func(record []byte) error { x.add(string(record)); return nil })
			x.add(fmt.Sprint(err))
			time.Sleep(time.Hour) //nolint:forbidigo // in a bubble: until the gate is open again
		}
		seen := x.String() + x.log.String()
		for _, s := range x.desk.sent {
			seen += string(s.event.Data()) + s.id
		}
		for _, r := range x.desk.ledger {
			seen += fmt.Sprintf("%s %+v %s", r.Result, r.Log, r.Made)
		}
		for _, content := range x.shelf.kept {
			seen += content
		}
		for _, s := range spans.GetSpans() {
			seen += fmt.Sprintf("%s %v %v %v", s.Name, s.Attributes, s.Events, s.Status)
		}
		for _, trace := range traces() {
			if at := strings.Index(seen, trace); at >= 0 {
				t.Errorf("%q is seen: %.200s", trace, seen[max(0, at-100):])
			}
		}
		if n := strings.Count(seen, "[hidden]"); n < 30 {
			t.Errorf("%d places were hidden; the answers did not get through", n)
		}
	})
}
