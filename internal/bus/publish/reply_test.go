package publish

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestReplies: nothing but inboxes, and what the operator has chosen.
func TestReplies(t *testing.T) {
	t.Parallel()
	commands, err := CommandReplies("acme", []string{"replies.acme"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	queries, err := RequestReplies("acme", "query", []string{"replies.acme"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for subject, allowed := range map[string]bool{
		"_INBOX.a": true, "_INBOX.billing.a.1": true, "replies.acme.1": true,
		"": false, "_INBOX": false, "_INBOXES.a": false, "_inbox.a": false, " _INBOX.a": false, "a._INBOX.b": false,
		"replies.acme": false, "replies.acmex.a": false, "replies.beta.a": false, "other": false, "_GR_.a.b.c": false,
		"$JS.API.STREAM.PURGE.FACTRO_EVENTS": false, "$JS.ACK.a": false, "$SYS.a": false, "$KV.FACTRO_LEDGER.a": false,
		"$O.FACTRO_FILES.a": false, "$SRV.PING": false, "$MQTT.a": false,
		"factro.command.acme.task.deleteTask": false, "factro.redrive.acme.task.deleteTask": false,
		"factro.event.acme.task.1.A": false, "factro.result.acme.task.deleteTask.applied": false, "other.command.a": false,
		"_INBOX." + strings.Repeat("x", 2000): false, // the server would end the connection
	} {
		if got := commands.Allow(t.Context(), subject, ""); got != allowed {
			t.Errorf("%.40q: %v for a command", subject, got)
		}
		if got := queries.Allow(t.Context(), subject, ""); got != allowed {
			t.Errorf("%.40q: %v for a query", subject, got)
		}
	}
	const another = "_R_.abc.1" // of an account that imports the queries
	if commands.Allow(t.Context(), another, "") || !queries.Allow(t.Context(), another, "") {
		t.Error("what the server makes for other accounts is for queries only")
	}
}

// TestRepliesWarn: who names such subjects cannot fill the log.
func TestRepliesWarn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r, err := CommandReplies("acme", nil, slog.New(slog.NewJSONHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			r.Allow(t.Context(), "other", "c-1")
		}
		time.Sleep(replyWarnEvery) //nolint:forbidigo // in a bubble of virtual time
		r.Allow(t.Context(), "other", "c-2")
		if n := r.refused.Load(); n != 6 {
			t.Errorf("counted %d", n)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[1], `"not_logged":4`) || !strings.Contains(lines[1], `"event_id":"c-2"`) {
			t.Errorf("logged %q", lines)
		}
	})
}
