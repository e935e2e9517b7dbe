package spool

import (
	"fmt"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// A spool that takes long to be handed over says so in the log, and says when it is empty; one that does not says nothing.
func TestSpoolTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	log, book := bustest.NewLog()
	cfg := config(t.TempDir())
	cfg.DrainPerSecond = 40
	s, err := open(t.Context(), cfg, b, bustest.Publisher(t, b), letters(t, b), log, plenty)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.attempt, s.patience = patience, patience
	for i := range 160 { // 4 s
		store(t, s, task(i), fmt.Sprintf("%03d", i), true)
	}
	server.Start()
	bustest.Ready(t, b)
	bustest.Start(t, s.Run)
	wantBalance(t, s)
	natstest.Eventually(t, "the end is logged", func() bool { return book.Count(`"msg":"the spool is handed over"`) == 1 })
	if book.Count(`"msg":"the spool is being handed over"`) != 1 || !strings.Contains(book.String(), `"per_second":`) || !strings.Contains(book.String(), `"cloud":"acme"`) {
		t.Errorf("the log is\n%s", book)
	}
	s.limiter.SetLimit(100_000)
	server.Stop()
	store(t, s, task(1), "later", true)
	server.Start()
	wantBalance(t, s)
	if n := book.Count(`"msg":"the spool is handed over"`); n != 1 {
		t.Errorf("a short wait is reported %d times", n-1)
	}
}

// That webhooks go to the spool is logged when it begins and when it is over, also if it was short; but not each time of many.
func TestSpoolTellsWhenItIsUsed(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	log, book := bustest.NewLog()
	s, err := open(t.Context(), config(t.TempDir()), b, bustest.Publisher(t, b), letters(t, b), log, plenty)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.attempt, s.patience = patience, patience
	bustest.Start(t, s.Run)
	const begun, over = `"msg":"webhooks wait in the spool until NATS takes them","cloud":"acme"`, `"msg":"the spool is handed over","cloud":"acme","messages":`
	for round := range 2 {
		store(t, s, task(1), fmt.Sprint(round), true)
		natstest.Eventually(t, "the begin is logged", func() bool { return book.Count(begun) == 1 })
		server.Start()
		wantBalance(t, s)
		natstest.Eventually(t, "the end is logged", func() bool { return book.Count(over) == 1 })
		server.Stop()
	}
}
