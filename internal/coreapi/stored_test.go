package coreapi

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/shape"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// TestStored: each record comes by itself and without a secret, from a list of any form that is whole.
func TestStored(t *testing.T) {
	t.Parallel()
	const secret = `{"webhook":{"authenticationHeaderValue":"geheim"},"n":`
	since := time.Date(2026, 9, 1, 10, 0, 0, 5e6, time.FixedZone("", 7200))
	for name, tt := range map[string]struct {
		reply apitest.Reply
		want  int
		fails string // part of the error
	}{
		"records":         {apitest.OK("[" + secret + "1},\n " + secret + "2}, 7]"), 3, ""},
		"none":            {apitest.OK("[]"), 0, ""},
		"no list":         {apitest.OK(`{"message":"later"}`), 0, "no list"},
		"nothing":         {apitest.OK(""), 0, "no list"},
		"no JSON":         {apitest.OK("<html>"), 0, "not JSON"},
		"an end too soon": {apitest.OK("[" + secret + "1},"), 1, "too early"},
		"a broken end":    {apitest.OK("[" + secret + "1}"), 1, "too early"},
		"cut off":         {apitest.Reply{Status: 200, Body: "[" + secret + "1},", Cut: true}, 1, ""},
		"refused":         {apitest.Reply{Status: 403, Body: "Forbidden"}, 0, "403"},
		"failing":         {apitest.Reply{Status: 500, Body: "Ouch"}, 0, "500"},
		"too large":       {apitest.OK(`["` + strings.Repeat("x", shape.MaxRecord) + `"]`), 0, "more than"},
	} {
		a, api := scripted(t, apitest.Always(tt.reply))
		n := 0
		err := api.Stored(t.Context(), since, func(record []byte) error {
			n++
			if strings.Contains(string(record), "geheim") {
				t.Errorf("%s: a record shows its secret: %s", name, record)
			}
			return nil
		})
		if (err == nil) != (tt.fails == "" && !tt.reply.Cut) || err != nil && !strings.Contains(err.Error(), tt.fails) || n != tt.want {
			t.Errorf("%s: %d records, %v", name, n, err)
		}
		if got := a.Seen[0].URL.EscapedPath(); got != "/api/core/webhook/payload/2026-09-01T08:00:00.005Z" && got != "/api/core/webhook/payload/2026-09-01T08%3A00%3A00.005Z" {
			t.Errorf("%s: asked for %s", name, got)
		}
	}
}

// TestStoredEndsWithItsReader: the reader's error ends the reading and is no sign of factro's health.
func TestStoredEndsWithItsReader(t *testing.T) {
	t.Parallel()
	_, api := scripted(t, apitest.Always(apitest.OK("[1,2,3]")))
	full := errors.New("the disk is full")
	for range 10 {
		n := 0
		err := api.Stored(t.Context(), time.Now(), func([]byte) error { n++; return full })
		if !errors.Is(err, full) || n != 1 {
			t.Errorf("%d records, %v", n, err)
		}
	}
	if !api.gate.open() {
		t.Error("our own failures opened the breaker")
	}
}

// TestStoredWaitsForNobody: while factro throttles, nothing is asked, and the error tells until when.
func TestStoredWaitsForNobody(t *testing.T) {
	t.Parallel()
	a, api := scripted(t, apitest.Always(apitest.Reply{Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "60"}}))
	for range 3 {
		if err := api.Stored(t.Context(), time.Now(), nil); err == nil {
			t.Error("a throttled reading succeeded")
		}
	}
	if n := a.Count("call"); n != 1 {
		t.Errorf("factro was asked %d times", n)
	}
}

// scripted is the way to a scripted factro.
func scripted(t testing.TB, script func(r *http.Request, body string) apitest.Reply) (*apitest.Factro, *API) {
	t.Helper()
	a := &apitest.Factro{Diary: &apitest.Diary{}, Script: script}
	core, err := New(Config{
		Cloud: "acme", URL: "https://factro.test/api/core/", Key: secret.Source{Value: apitest.Key},
		RequestsPerMinute: 480, Timeout: 20 * time.Second, UserAgent: "factro-bridge/test",
	}, a, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a, core
}
