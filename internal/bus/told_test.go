package bus

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A spool that takes long to be handed over says so in the log, and says when it is empty; one that does not says nothing.
func TestSpoolTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	log, book := newLog()
	cfg := spoolConfig(t.TempDir())
	cfg.DrainPerSecond = 40
	s, err := openSpool(t.Context(), cfg, b, plainLetters{b}, log, plenty)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.attempt, s.patience = patience, patience
	for i := range 160 { // 4 s
		store(t, s, subjectOf(i), fmt.Sprintf("%03d", i), true)
	}
	server.start()
	ready(t, b)
	start(t, s.Run)
	wantBalance(t, s)
	eventually(t, "the end is logged", func() bool { return book.count(`"msg":"the spool is handed over"`) == 1 })
	if book.count(`"msg":"the spool is being handed over"`) != 1 || !strings.Contains(book.String(), `"per_second":`) || !strings.Contains(book.String(), `"cloud":"acme"`) {
		t.Errorf("the log is\n%s", book)
	}
	s.limiter.SetLimit(100_000)
	server.stop()
	store(t, s, subjectOf(1), "later", true)
	server.start()
	wantBalance(t, s)
	if n := book.count(`"msg":"the spool is handed over"`); n != 1 {
		t.Errorf("what is short is told %d times", n-1)
	}
}

// That webhooks go to the spool is logged when it begins and when it is over, also if it was short; but not each time of many.
func TestSpoolTellsWhenItIsUsed(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	log, book := newLog()
	s, err := openSpool(t.Context(), spoolConfig(t.TempDir()), b, plainLetters{b}, log, plenty)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.attempt, s.patience = patience, patience
	start(t, s.Run)
	const begun, over = `"msg":"webhooks wait in the spool until NATS takes them","cloud":"acme"`, `"msg":"the spool is handed over","cloud":"acme","messages":`
	for round := range 2 {
		store(t, s, subjectOf(1), fmt.Sprint(round), true)
		eventually(t, "the begin is logged", func() bool { return book.count(begun) == 1 })
		server.start()
		wantBalance(t, s)
		eventually(t, "the end is logged", func() bool { return book.count(over) == 1 })
		server.stop()
	}
}

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
