package budget

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestShares: commands take what there is, and queries leave them half of it.
func TestShares(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := New(60) // one a second, two at once
		began := time.Now()
		took := func(what string, want time.Duration) {
			t.Helper()
			if d := time.Since(began); d < want || d > want+100*time.Millisecond {
				t.Errorf("%s: after %s, want %s", what, d, want)
			}
			began = time.Now()
		}
		spare := func() {
			t.Helper()
			if again, ok := b.TakeSpare(t.Context()); !ok {
				t.Errorf("a query has to come again at %s", again)
			}
		}
		command := func() {
			t.Helper()
			if err := b.Take(t.Context()); err != nil {
				t.Error(err)
			}
		}
		spare()
		took("a query of a full budget", 0)
		waiting := make(chan struct{})
		go func() {
			defer close(waiting)
			spare()
		}()
		synctest.Wait()
		command()
		took("a command before a query that waits", 0)
		<-waiting
		took("a query behind a command", 2*time.Second)
		command()
		took("a command after it", 0)
		command()
		took("a command of an empty budget", time.Second)
	})
}

// TestTakeSpareEnds: a query hears after a bounded time when to come again, and at once if that is known.
func TestTakeSpareEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := New(6)
		if _, ok := b.TakeSpare(t.Context()); !ok {
			t.Fatal("a full budget has nothing for a query")
		}
		began := time.Now()
		again, ok := b.TakeSpare(t.Context())
		if d := time.Since(began); ok || d != QueryWait || again.Sub(began).Round(time.Second) != 10*time.Second {
			t.Errorf("after %s: %t, to come again after %s", d, ok, again.Sub(began))
		}
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
		began = time.Now()
		b.Learn(header(`"x"; r=49; t=30`), false, began)
		again, ok = b.TakeSpare(t.Context())
		if d := time.Since(began); ok || d != 0 || again.Sub(began) != 30*time.Second {
			t.Errorf("while few remain: after %s: %t, to come again after %s", d, ok, again.Sub(began))
		}
		if err := b.Take(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("a command waits %s: %v", time.Since(began), err)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
		if _, ok := b.TakeSpare(ended); ok {
			t.Error("a query that is over takes a request")
		}
	})
}

// TestSpareAtOnce: a query is served in the moment in which what remains is no longer kept for commands.
func TestSpareAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, began := New(480), time.Now()
		b.Learn(header(`"x"; r=49; t=3`), false, began)
		again, ok := b.TakeSpare(t.Context())
		if d := time.Since(began); !ok || d != 3*time.Second {
			t.Errorf("after %s: %t, to come again at %s", d, ok, again)
		}
	})
}

// TestLooksAgain: a query of the largest budget, which has a token every 0.6 ms, looks for it only every 10 ms.
func TestLooksAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, began := New(MaxPerMinute), time.Now()
		for range 1667 { // down to the half that queries leave alone
			if err := b.Take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		again, ok := b.TakeSpare(t.Context())
		if d := time.Since(began); !ok || d != 10*time.Millisecond {
			t.Errorf("after %s: %t, to come again at %s", d, ok, again)
		}
	})
}

// TestLearn: what factro reports of its budget holds until its window is over.
func TestLearn(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, test := range []struct {
		header       http.Header
		refused      bool
		spent, saved time.Duration // 0: not
		left         int           // -1: not known
	}{
		{http.Header{}, false, 0, 0, -1},
		{http.Header{"Retry-After": {"7"}}, true, 7 * time.Second, 0, -1},
		{header(`"x"; r=499; t=60`), false, 0, 0, 499},
		{header(`"x"; r=49; t=20`), false, 0, 20 * time.Second, 49},
		{header(`"x"; r=50; t=20`), false, 0, 0, 50},
		{header(`"x"; r=99; t=20`, `"x"; q=1000; w=60`), false, 0, 20 * time.Second, 99},
		{header(`"x"; r=100; t=20`, `"x"; q=1000; w=60`), false, 0, 0, 100},
		{header(`"x"; r=400; t=20`, `"x"; q=100001; w=60`), false, 0, 0, 400},
		{header(`"x"; r=400; t=20`, `"x"; q=100000; w=60`), false, 0, 20 * time.Second, 400},
		{header(`"x"; r=0; t=20`), false, 20 * time.Second, 20 * time.Second, 0},
		{header(`"x"; r=0; t=0`), false, time.Second, time.Second, 0},
		{header(`"x"; r=0; t=3600`), false, time.Minute, time.Minute, 0},
		{header(`"x"; r=0; t=3601`), false, 0, 0, -1},
	} {
		b := New(480)
		b.Learn(test.header, test.refused, now)
		since, until := b.Spent()
		if test.spent == 0 && !until.IsZero() || test.spent > 0 && (until.Sub(now) != test.spent || !since.Equal(now)) {
			t.Errorf("%v: spent from %s until %s, want %s", test.header, since, until, test.spent)
		}
		if saved := b.saved(); test.saved == 0 && !saved.IsZero() || test.saved > 0 && saved.Sub(now) != test.saved {
			t.Errorf("%v: saved until %s, want %s", test.header, saved, test.saved)
		}
		if n, known := b.Remaining(now); known != (test.left >= 0) || known && n != test.left {
			t.Errorf("%v: %d remain, %t", test.header, n, known)
		}
		if n, known := b.Remaining(now.Add(time.Hour)); known {
			t.Errorf("%v: an hour later %d remain", test.header, n)
		}
	}
}

// TestSpentSince: what is used up on and on is so since the first time.
func TestSpentSince(t *testing.T) {
	t.Parallel()
	b, now := New(480), time.Now()
	b.Learn(http.Header{"Retry-After": {"7"}}, true, now)
	b.Learn(http.Header{"Retry-After": {"9"}}, true, now.Add(5*time.Second))
	if since, until := b.Spent(); !since.Equal(now) || !until.Equal(now.Add(14*time.Second)) {
		t.Errorf("spent from %s until %s", since, until)
	}
	b.Learn(http.Header{"Retry-After": {"7"}}, true, now.Add(time.Minute))
	if since, _ := b.Spent(); !since.Equal(now.Add(time.Minute)) {
		t.Errorf("spent again from %s", since)
	}
}

func header(budget string, policy ...string) http.Header {
	h := http.Header{"Ratelimit": {budget}}
	if len(policy) > 0 {
		h.Set("Ratelimit-Policy", policy[0])
	}
	return h
}
