package spool

import (
	"fmt"
	"strings"
	"testing"
)

// A spool that takes long to be handed over says so in the log, and says when it is empty; one that does not says nothing.
func TestSpoolTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	log, book := newLog()
	cfg := config(t.TempDir())
	cfg.DrainPerSecond = 40
	s, err := open(t.Context(), cfg, b, letters(t, b), log, plenty)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.attempt, s.patience = patience, patience
	for i := range 160 { // 4 s
		store(t, s, task(i), fmt.Sprintf("%03d", i), true)
	}
	server.Start()
	ready(t, b)
	start(t, s.Run)
	wantBalance(t, s)
	eventually(t, "the end is logged", func() bool { return book.count(`"msg":"the spool is handed over"`) == 1 })
	if book.count(`"msg":"the spool is being handed over"`) != 1 || !strings.Contains(book.String(), `"per_second":`) || !strings.Contains(book.String(), `"cloud":"acme"`) {
		t.Errorf("the log is\n%s", book)
	}
	s.limiter.SetLimit(100_000)
	server.Stop()
	store(t, s, task(1), "later", true)
	server.Start()
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
	s, err := open(t.Context(), config(t.TempDir()), b, letters(t, b), log, plenty)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.attempt, s.patience = patience, patience
	start(t, s.Run)
	const begun, over = `"msg":"webhooks wait in the spool until NATS takes them","cloud":"acme"`, `"msg":"the spool is handed over","cloud":"acme","messages":`
	for round := range 2 {
		store(t, s, task(1), fmt.Sprint(round), true)
		eventually(t, "the begin is logged", func() bool { return book.count(begun) == 1 })
		server.Start()
		wantBalance(t, s)
		eventually(t, "the end is logged", func() bool { return book.count(over) == 1 })
		server.Stop()
	}
}
