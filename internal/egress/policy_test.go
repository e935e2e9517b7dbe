package egress

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/policy"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// TestPolicyRefuses: what the policy refuses is rejected with the rule, before the ledger is read and anything is called, and so
// are its dry run and its redrive. Everything else goes on.
func TestPolicyRefuses(t *testing.T) {
	t.Parallel()
	rules := policy.Policy{Deny: []policy.Rule{{Operations: []string{"update*"}, Sources: []string{"urn:te*"}}}}
	again := update()
	again.Redrive = "17"
	for name, test := range map[string]struct {
		command events.Command
		refused bool
	}{
		"refused":         {update(), true},
		"dry run":         {command("updateTask", `{"taskId":"t-1","title":"T"}`, attr.DryRun, true), true},
		"redrive":         {again, true},
		"wrong data":      {command("updateTask", `{"taskId":7}`), true},
		"other operation": {command("deleteTask", `{"taskId":"t-1"}`), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRigFor(t, Config{Prefix: "factro", Refuses: rules.Refuses}, func(*http.Request, string) apitest.Reply { return apitest.Reply{Status: 204} })
			r.stores.ledger[ledgerEntry] = ledger.Record{StartedAt: time.Now(), Fingerprint: "another command"}
			verdict := r.do(test.command)
			if !test.refused {
				if strings.Contains(r.String(), "policy") || !strings.Contains(r.String(), "begin") {
					t.Errorf("unexpected steps: %s", r)
				}
				return
			}
			s := r.wantDone(verdict, events.Rejected, events.CodePolicy)
			if r.String() != "publish rejected" {
				t.Errorf("unexpected steps: %s", r)
			}
			if !strings.Contains(s.result.Error.Message, "rule deny[0], update* from urn:te*") {
				t.Errorf("the message is %q", s.result.Error.Message)
			}
			if letter, ok := commands.LetterOf(verdict); !ok || letter.Code != events.CodePolicy {
				t.Errorf("the verdict is %v", verdict)
			}
		})
	}
}
