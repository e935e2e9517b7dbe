package coreapi

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/budget"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/shape"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// share is a share of a budget of its own.
func share() *budget.Share {
	return budget.NewPool().Share("http://factro", budget.Limits{PerMinute: 480})
}

// calling passes calls through the gate's breaker: s went well, f failed, n says nothing about factro.
func calling(t *testing.T, g *gate, calls string) {
	t.Helper()
	for _, c := range calls {
		want := map[rune]error{'s': nil, 'f': errUnhealthy, 'n': errNeutral}[c]
		if _, err := g.breaker.Execute(func() (Answer, error) { return Answer{}, want }); !errors.Is(err, want) {
			t.Fatalf("a call of %s ended with %v, want %v", calls, err, want)
		}
	}
}

// TestBreakerOpens: five failures on end open the breaker, and so does a half of the last twenty calls or more in 30 seconds.
func TestBreakerOpens(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before string
		wait   time.Duration
		then   string
		open   bool
	}{
		"four on end":                  {"ffff", 0, "", false},
		"five on end":                  {"ffff", 0, "f", true},
		"five, a success between":      {"fffsff", 0, "", false},
		"five, one that says nothing":  {"ffnff", 0, "f", true},
		"half of nineteen":             {"sfsfsfsfsfsfsfsfs", 0, "ff", false},
		"half of twenty":               {"sfsfsfsfsfsfsfsfsfs", 0, "f", true},
		"less than half":               {"ssfssfssfssfssfssfssfssf", 0, "ssf", false},
		"half, some say nothing":       {"nnnnnnnnnnsfsfsfsfsf", 0, "f", false},
		"half in 28 seconds":           {"sfsfsfsfsfsfsfsfsfs", 28 * time.Second, "f", true},
		"half in the window's last":    {"", 16 * time.Second, "sfsfsfsfsfsfsfsfsfs+f", true},
		"half, but longer than 30s":    {"sfsfsfsfsfsfsfsfsfs", 34 * time.Second, "f", false},
		"on end, but longer than 30 s": {"ffff", 34 * time.Second, "f", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGate("acme", share())
				calling(t, g, test.before)
				time.Sleep(test.wait) //nolint:forbidigo // in a bubble
				for _, c := range test.then {
					if c == '+' { // a window that began with the breaker is over, one that moves along is not
						time.Sleep(20 * time.Second) //nolint:forbidigo // in a bubble
						continue
					}
					calling(t, g, string(c))
				}
				if g.open() == test.open {
					t.Errorf("open: %t", test.open)
				}
			})
		})
	}
}

// TestBreakerTells: an opening and the closing are reported once each, and an open breaker takes a probe when it has said.
func TestBreakerTells(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, began := newGate("acme", share()), time.Now()
		g.fails(Answer{Status: 503})
		calling(t, g, "fffff")
		const wait = 15*time.Second + time.Millisecond
		since, cause, next := g.down()
		if !since.Equal(began) || cause != "factro answered 503" || next.Sub(began) != wait {
			t.Errorf("down since %s, %q, next %s", since, cause, next.Sub(began))
		}
		if o := g.obstacle(time.Now(), "key"); o.Code != events.CodeUnavailable || !o.Until.Equal(next) {
			t.Errorf("in the way: %+v", o)
		}
		if news := g.untold(); len(news) != 1 || !news[0].down || news[0].cause != cause || !news[0].next.Equal(next) {
			t.Errorf("reported: %+v", news)
		}
		for range 2 { // a probe that fails, and one more wait
			time.Sleep(wait) //nolint:forbidigo // in a bubble
			if o := g.obstacle(time.Now(), "key"); o.Code != "" {
				t.Errorf("still in the way: %+v", o)
			}
			calling(t, g, "f")
		}
		since, _, next = g.down()
		if !since.Equal(began) || next.Sub(began) != 3*wait || len(g.untold()) != 0 {
			t.Errorf("down again since %s, next %s", since, next.Sub(began))
		}
		time.Sleep(wait) //nolint:forbidigo // in a bubble
		if g.open() {
			t.Error("open before a probe went well")
		}
		calling(t, g, "s")
		if since, _, next := g.down(); !since.IsZero() || !next.IsZero() || !g.open() {
			t.Errorf("after a success: down since %s, next %s, open %t", since, next, g.open())
		}
		if news := g.untold(); len(news) != 1 || news[0].down || news[0].after != 3*wait {
			t.Errorf("reported: %+v", news)
		}
		if news := g.untold(); len(news) != 0 {
			t.Errorf("reported again: %+v", news)
		}
	})
}

// TestBadKey: a key is bad from the first answer that says so until one that took it, and a missing one is a matter of its own.
func TestBadKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, began := newGate("acme", share()), time.Now()
		learns := func(j Judgement, key secret.String, was, is keyState, since time.Duration) {
			t.Helper()
			if a, b := g.learn(j, Answer{}, key); a != was || b != is || g.key() != is || g.paused() != (is != keyGood) || g.open() != (is == keyGood) {
				t.Errorf("the key was %d and is %d, paused %t, open %t", a, b, g.paused(), g.open())
			}
			if is == keyGood {
				return
			}
			if d := g.badSince.Sub(began); d != since {
				t.Errorf("bad since %s, want %s", d, since)
			}
			if o := g.obstacle(time.Now(), key); o.Code != events.CodeUnauthorized || time.Until(o.Until) != 30*time.Second || o.noKey != (is == keyMissing) {
				t.Errorf("in the way: %+v", o)
			}
			if o := g.obstacle(time.Now(), "another key"); o.Code != "" {
				t.Errorf("in the way of another key: %+v", o)
			}
			time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
			if o := g.obstacle(time.Now(), key); o.Code != "" {
				t.Errorf("still in the way: %+v", o)
			}
		}
		learns(Unauthorized, "a", keyGood, keyRefused, 0)
		learns(Unauthorized, "a", keyRefused, keyRefused, 0)
		learns(Unauthorized, "b", keyRefused, keyRefused, 0)
		learns(Unauthorized, "", keyRefused, keyMissing, 3*time.Minute)
		learns(Unauthorized, "", keyMissing, keyMissing, 3*time.Minute)
		learns(Unauthorized, "c", keyMissing, keyRefused, 5*time.Minute)
		for _, j := range []Judgement{Throttled, Failed, Unknown} { // these say nothing about the key
			if _, is := g.learn(j, Answer{}, "c"); is != keyRefused {
				t.Errorf("judgement %d: the key is %d", j, is)
			}
		}
		time.Sleep(2 * time.Minute) //nolint:forbidigo // in a bubble
		learns(Done, "c", keyRefused, keyGood, 0)
		learns(Unauthorized, "", keyGood, keyMissing, 8*time.Minute)
		learns(Refused, "c", keyMissing, keyGood, 0)
	})
}

// TestAskedToRest: an answer that says how long to wait is obeyed whatever its status, for an hour at most, and a later one that
// asks for less, or for nothing, shortens nothing.
func TestAskedToRest(t *testing.T) {
	t.Parallel()
	answer := func(status int, wait string) Answer {
		a := Answer{Status: status, Header: http.Header{}}
		if wait != "" {
			a.Header.Set("Retry-After", wait)
		}
		return a
	}
	const date = "Sat, 01 Jan 2000 00:00:25 GMT" // bubbles begin with that day
	for name, test := range map[string]struct {
		j      Judgement
		answer Answer
		want   time.Duration
	}{
		"a failure":                 {Unknown, answer(500, "7"), 7 * time.Second},
		"certainly not carried out": {Failed, answer(500, "7"), 7 * time.Second},
		"an hour":                   {Unknown, answer(500, "3600"), time.Hour},
		"a day":                     {Unknown, answer(503, "86400"), time.Hour},
		"a century":                 {Unknown, answer(503, "Fri, 01 Jan 2100 00:00:00 GMT"), time.Hour},
		"a date":                    {Unknown, answer(503, date), 25 * time.Second},
		"no wish":                   {Unknown, answer(500, ""), 0},
		"nonsense":                  {Unknown, answer(500, "soon"), time.Minute},
		"a timeout":                 {Unknown, answer(408, "7"), 7 * time.Second},
		"of a gateway":              {Unknown, answer(502, "7"), 7 * time.Second},
		"too early":                 {Refused, answer(425, "7"), 7 * time.Second},
		"not there yet":             {Refused, answer(404, date), 25 * time.Second},
		"nonsense of a refusal":     {Refused, answer(400, "soon"), 0},
		"a refused key":             {Unauthorized, answer(401, "40"), 40 * time.Second},
		"of success":                {Done, answer(200, "7"), 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g, now := newGate("acme", share()), time.Now()
				g.learn(test.j, test.answer, "key")
				o := g.obstacle(now, "another key")
				if code := map[bool]string{true: events.CodeUnavailable}[test.want > 0]; o.Code != code || code != "" && o.Until.Sub(now) != test.want {
					t.Errorf("in the way: %+v", o)
				}
				if g.resting(now, "key") != (test.want > 0) || g.resting(now.Add(test.want), "key") {
					t.Error("calls are let through before their time, or not after it")
				}
				if o := g.obstacle(now.Add(test.want), "another key"); o.Code != "" {
					t.Errorf("after %s in the way: %+v", test.want, o)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		g, began := newGate("acme", share()), time.Now()
		rest := func(wait string, since, until time.Duration) {
			t.Helper()
			g.learn(Unknown, answer(503, wait), "key")
			if d := g.restOf.Sub(began); d != since {
				t.Errorf("asked to wait since %s, want %s", d, since)
			}
			if d := g.restAt.Sub(began); d != until {
				t.Errorf("asked to wait until %s, want %s", d, until)
			}
		}
		rest("10", 0, 10*time.Second)
		time.Sleep(5 * time.Second) //nolint:forbidigo // in a bubble
		rest("2", 0, 10*time.Second)
		rest("10", 0, 15*time.Second)
		g.learn(Done, Answer{}, "key") // of a call that went out before
		rest("", 0, 15*time.Second)
		time.Sleep(10 * time.Second) //nolint:forbidigo // in a bubble
		rest("10", 15*time.Second, 25*time.Second)
	})
}

// TestGeneral tells failures of factro from those of one query, and the creates that an empty answer's status confirms.
func TestGeneral(t *testing.T) {
	t.Parallel()
	empty := func(status int) Answer { return Answer{Status: status, Malformed: shape.ErrNoBody} }
	for name, test := range map[string]struct {
		answer        Answer
		general, made bool
	}{
		"an HTML page":          {Answer{Status: 200, Malformed: shape.ErrPage}, true, false},
		"no JSON":               {Answer{Status: 200, Malformed: shape.ErrNotJSON}, false, false},
		"no connection":         {Answer{Err: errors.New("refused"), Unsent: true}, true, false},
		"a reset":               {Answer{Err: errors.New("reset")}, true, false},
		"silence":               {Answer{Err: errSilent}, false, false},
		"silence, never sent":   {Answer{Err: errSilent, Unsent: true}, true, false},
		"cut after its status":  {Answer{Status: 200, Err: errors.New("cut")}, false, false},
		"500":                   {Answer{Status: 500}, false, false},
		"501":                   {Answer{Status: 501}, false, false},
		"502":                   {Answer{Status: 502}, true, false},
		"503":                   {Answer{Status: 503}, true, false},
		"504":                   {Answer{Status: 504}, true, false},
		"505":                   {Answer{Status: 505}, false, false},
		"200 and nothing":       {empty(200), false, false},
		"201 and nothing":       {empty(201), false, true},
		"202 and nothing":       {empty(202), false, false},
		"204 and nothing":       {empty(204), false, true},
		"201 and something":     {Answer{Status: 201}, false, false},
		"201 and something odd": {Answer{Status: 201, Malformed: shape.ErrNotJSON}, false, false},
	} {
		if got := test.answer.General(); got != test.general {
			t.Errorf("%s is general: %t", name, got)
		}
		if got := test.answer.SaysMade(); got != test.made {
			t.Errorf("%s says that it was made: %t", name, got)
		}
	}
}
