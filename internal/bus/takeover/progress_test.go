package takeover

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/progress"
)

// What is taken over from an older version is logged from time to time, with the time that it still takes.
func TestTakeOverLogsProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var book strings.Builder
		b := &Takeover{log: slog.New(slog.NewJSONHandler(&book, nil)), watch: map[string]*progress.Log{}}
		for left := 1000; left > 0; left -= 20 {
			b.tellMoving(t.Context(), "FACTRO_EVENTS_ACME", uint64(left))
			<-time.After(time.Second)
		}
		if strings.Count(book.String(), "stream is being filled from the one of an older version") != 2 {
			t.Errorf("the log is\n%s", book.String())
		}
		const want = `"done":640,"total":1000,"per_second":20,"took":"32s","left":"18s","stream":"FACTRO_EVENTS_ACME"`
		if !strings.Contains(book.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, book.String())
		}
	})
}
