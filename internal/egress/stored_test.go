package egress

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestStored: each record comes by itself and without a secret, from a list of any form that is whole.
func TestStored(t *testing.T) {
	t.Parallel()
	const secret = `{"webhook":{"authenticationHeaderValue":"geheim"},"n":`
	since := time.Date(2026, 9, 1, 10, 0, 0, 5e6, time.FixedZone("", 7200))
	for name, tt := range map[string]struct {
		reply reply
		want  int
		fails string // part of the error
	}{
		"records":         {ok("[" + secret + "1},\n " + secret + "2}, 7]"), 3, ""},
		"none":            {ok("[]"), 0, ""},
		"no list":         {ok(`{"message":"later"}`), 0, "no list"},
		"nothing":         {ok(""), 0, "no list"},
		"no JSON":         {ok("<html>"), 0, "not JSON"},
		"an end too soon": {ok("[" + secret + "1},"), 1, "too early"},
		"a broken end":    {ok("[" + secret + "1}"), 1, "too early"},
		"cut off":         {reply{status: 200, body: "[" + secret + "1},", cut: true}, 1, ""},
		"refused":         {reply{status: 403, body: "Forbidden"}, 0, "403"},
		"failing":         {reply{status: 500, body: "Ouch"}, 0, "500"},
		"too large":       {ok(`["` + strings.Repeat("x", maxRecord) + `"]`), 0, "more than"},
	} {
		x := newReading(t, always(tt.reply))
		n := 0
		err := x.w.API.Stored(t.Context(), since, func(record []byte) error {
			n++
			if strings.Contains(string(record), "geheim") {
				t.Errorf("%s: a record shows its secret: %s", name, record)
			}
			return nil
		})
		if (err == nil) != (tt.fails == "" && !tt.reply.cut) || err != nil && !strings.Contains(err.Error(), tt.fails) || n != tt.want {
			t.Errorf("%s: %d records, %v", name, n, err)
		}
		if got := x.api.seen[0].URL.EscapedPath(); got != "/api/core/webhook/payload/2026-09-01T08:00:00.005Z" && got != "/api/core/webhook/payload/2026-09-01T08%3A00%3A00.005Z" {
			t.Errorf("%s: asked for %s", name, got)
		}
	}
}

// TestStoredEndsWithItsReader: the reader's error ends the reading and is no sign of factro's health.
func TestStoredEndsWithItsReader(t *testing.T) {
	t.Parallel()
	x := newReading(t, always(ok("[1,2,3]")))
	full := errors.New("the disk is full")
	for range 10 {
		n := 0
		err := x.w.API.Stored(t.Context(), time.Now(), func([]byte) error { n++; return full })
		if !errors.Is(err, full) || n != 1 {
			t.Errorf("%d records, %v", n, err)
		}
	}
	if !x.w.gate.open() {
		t.Error("our own failures opened the breaker")
	}
}

// TestStoredWaitsForNobody: while factro throttles, nothing is asked, and the error tells until when.
func TestStoredWaitsForNobody(t *testing.T) {
	t.Parallel()
	x := newReading(t, always(reply{status: http.StatusTooManyRequests, header: map[string]string{"Retry-After": "60"}}))
	for range 3 {
		if err := x.w.API.Stored(t.Context(), time.Now(), nil); err == nil {
			t.Error("a throttled reading succeeded")
		}
	}
	if n := x.count("call"); n != 1 {
		t.Errorf("factro was asked %d times", n)
	}
}
