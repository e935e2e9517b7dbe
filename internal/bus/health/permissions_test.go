package health

import (
	"errors"
	"testing"
)

// TestReadRefusal: the server reports refused permissions as text.
func TestReadRefusal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		publish              bool
		subject, queue, what string
	}{
		`nats: permissions violation: Permissions Violation for Publish to "factro.event.acme.task.ü.Changed"`:                 {true, "factro.event.acme.task.ü.Changed", "", "factro.event.acme"},
		`nats: permissions violation: Permissions Violation for Publish to "$JS.ACK.S.C.1.2.3.4.5"`:                            {true, "$JS.ACK.S.C.1.2.3.4.5", "", "$JS.ACK.S.C"},
		`nats: permissions violation: Permissions Violation for Publish to "$KV.FACTRO_LEDGER_ACME.acme.x"`:                    {true, "$KV.FACTRO_LEDGER_ACME.acme.x", "", "$KV.FACTRO_LEDGER_ACME"},
		`nats: permissions violation: Permissions Violation for Subscription to "factro.query.a.*.*" using queue "q"`:          {false, "factro.query.a.*.*", "q", "factro.query.a"},
		`nats: permissions violation: Permissions Violation for Subscription to "_INBOX.xyz.*" (sid "3")`:                      {false, "_INBOX.xyz.*", "", "inbox"},
		`nats: permissions violation: something that no server says yet`:                                                       {false, "", "", "nats: permissions violation: something that no server says yet"},
		`nats: permissions violation: Permissions Violation for Subscription to "a\"b" using queue "q\\r" (sid "3")`:           {false, `a"b`, `q\r`, `a"b`},
		`nats: permissions violation: Permissions Violation for Publish to "$JS.API.CONSUMER.MSG.NEXT.FACTRO_COMMANDS_ACME.e"`: {true, "$JS.API.CONSUMER.MSG.NEXT.FACTRO_COMMANDS_ACME.e", "", "$JS.API.CONSUMER.MSG.NEXT.FACTRO_COMMANDS_ACME.e"},
	} {
		r := ReadRefusal(errors.New(text))
		if r.Publish != want.publish || r.Subject != want.subject || r.queue != want.queue || r.what() != want.what {
			t.Errorf("%s: %+v of %s", text, r, r.what())
		}
	}
}

func TestOurs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`nats: permissions violation: Permissions Violation for Publish to "$JS.API.STREAM.INFO.X"`:                                                true,
		`nats: permissions violation: Permissions Violation for Publish to "factro.result.a"`:                                                      true,
		`nats: permissions violation: Permissions Violation for Publish to "other.Subject"`:                                                        false,
		`nats: permissions violation: Permissions Violation for Subscription to "_INBOX.x.*"`:                                                      true,
		`nats: permissions violation: Permissions Violation for Publish to "$JS.API.STREAM.INFO.KV_FACTRO_LEDGER_ACME"`:                            true,
		`nats: permissions violation: Permissions Violation for Publish to "$JS.API.STREAM.INFO.OBJ_FACTRO_FILES_ACME"`:                            false,
		`nats: permissions violation: Permissions Violation for Publish to "$JS.API.DIRECT.GET.OBJ_FACTRO_FILES_ACME.$O.FACTRO_FILES_ACME.M.eA=="`: false,
		`nats: permissions violation: Permissions Violation for Publish to "$O.FACTRO_ANSWERS_ACME.C.x"`:                                           false,
		`nats: permissions violation: Permissions Violation for Publish to "$KV.FACTRO_STATE_ACME.acme.task.1"`:                                    false,
		`nats: permissions violation: Permissions Violation for Publish to "$JS.API.STREAM.INFO.KV_FACTRO_STATE_ACME"`:                             false,
		`nats: permissions violation: Permissions Violation for Publish to "$JS.API.STREAM.INFO.FACTRO_CHANGES_ACME"`:                              false,
		`nats: permissions violation: Permissions Violation for Publish to "factro.change.acme.task.1.updated"`:                                    false,
		`nats: permissions violation: Permissions Violation for Publish to "factro.event.acme.factro_changes_acme.x"`:                              true,
		`nats: permissions violation: Permissions Violation for Publish to "factro.result.acme.task.OBJ_FACTRO_FILES_ACME.x"`:                      true,
		`some text of another server`: true,
	} {
		if got := ours(fresh().cfg, text); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
