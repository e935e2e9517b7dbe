package control

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestPlaces(t *testing.T) {
	t.Parallel()
	for _, d := range Directions() {
		at := Place{"acme-1", d}
		if got, ok := PlaceOf(at.Key()); !ok || got != at {
			t.Errorf("%s is read as %v, %t", at.Key(), got, ok)
		}
	}
	for _, key := range []string{"", "pause.acme", "pause.acme.other", "pause..commands", "other.acme.commands", "pause.acme.commands.x"} {
		if at, ok := PlaceOf(key); ok {
			t.Errorf("%q is read as %v", key, at)
		}
	}
}

func TestPauseInWords(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 9, 1, 9, 30, 0, 0, time.UTC)
	for want, p := range map[string]Pause{
		"paused":                            {},
		"paused since 2026-09-01T09:30:00Z": {When: at},
		"paused since 2026-09-01T09:30:00Z by anna@ops (import)": {"anna@ops", at, "import"},
	} {
		if got := p.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestBoard: nothing is free until the pauses are known, a pause holds only its own place, and its end is noticed at once.
func TestBoard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, began := NewBoard(), time.Now()
		free := make(chan time.Duration, 2)
		for _, d := range []Direction{Commands, Queries} {
			go func() {
				if err := b.AwaitFree(t.Context(), "acme", d); err != nil {
					t.Error(err)
				}
				free <- time.Since(began)
			}()
		}
		synctest.Wait()
		if b.Known() || len(free) != 0 {
			t.Error("it is free before anything is known")
		}
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		b.Set(map[Place]Pause{{"acme", Commands}: {Who: "anna"}, {"beta", Queries}: {}})
		if got := <-free; got != time.Second {
			t.Errorf("queries are free after %s", got)
		}
		if p, ok := b.Paused("acme", Commands); !ok || p.Who != "anna" {
			t.Errorf("the pause is %+v, %t", p, ok)
		}
		changed := b.Changed()
		b.Set(map[Place]Pause{{"acme", Commands}: {Who: "anna"}, {"beta", Queries}: {}})
		select {
		case <-changed:
			t.Error("nothing has changed")
		default:
		}
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		b.Set(nil)
		if got := <-free; got != 2*time.Second {
			t.Errorf("commands are free after %s", got)
		}
		ended, cancel := context.WithCancel(t.Context())
		b.Set(map[Place]Pause{{"acme", Commands}: {}})
		cancel()
		if b.AwaitFree(ended, "acme", Commands) == nil {
			t.Error("it is free, although it is paused")
		}
		var none *Board
		if _, paused := none.Paused("acme", Commands); paused || !none.Known() || none.AwaitFree(t.Context(), "acme", Commands) != nil {
			t.Error("without a board something is paused")
		}
	})
}
