package bus

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What is taken over from an older version is logged from time to time, with the time that it still takes.
func TestTakeOverTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, book := newLog()
		b := &Conn{log: log}
		b.setMoving("FACTRO_EVENTS_ACME", true)
		for left := 1000; left > 0; left -= 20 {
			b.tellMoving(t.Context(), "FACTRO_EVENTS_ACME", uint64(left))
			<-time.After(time.Second)
		}
		b.setMoving("FACTRO_EVENTS_ACME", false)
		if book.count("stream is being filled from the one of an older version") != 2 {
			t.Errorf("the log is\n%s", book)
		}
		const want = `"done":640,"total":1000,"per_second":20,"took":"32s","left":"18s","stream":"FACTRO_EVENTS_ACME"`
		if !strings.Contains(book.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, book)
		}
		if len(b.moves.watch) != 0 {
			t.Error("it is still counted")
		}
	})
}
