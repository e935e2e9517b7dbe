package tests

import (
	"encoding/json"
	"strings"
	"testing"
)

// A dead letter that its stream refuses is no dead letter yet. The command line shows it among what is parked.
func TestParkedIsListed(t *testing.T) {
	t.Parallel()
	p := newPostbox(t)
	stream, err := p.js.Stream(t.Context(), prefix.DeadStream("acme"))
	if err != nil {
		t.Fatal(err)
	}
	limits := stream.CachedInfo().Config
	limits.MaxMsgSize = 100
	if _, err := p.js.UpdateStream(t.Context(), limits); err != nil {
		t.Fatal(err)
	}
	if out, errOut, code := p.dead("list", "--parked"); code != 0 || out != "" {
		t.Errorf("before: exit code %d: %s%s", code, out, errOut)
	}
	send(t, p.js, "acme", "createTask", "falsch-1", `{"titel":"Prüfung"}`)
	var out string
	waitFor(t, "it is parked", func() bool {
		out, _, _ = p.dead("list", "--parked")
		return out != ""
	})
	if strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "acme/parked ") || !strings.Contains(out, "createTask") ||
		!strings.Contains(out, "invalid") || !strings.Contains(out, "falsch-1") {
		t.Errorf("list --parked prints %q", out)
	}
	out, errOut, code := p.dead("list", "--parked", "--cloud", "acme", "--id", "falsch-1", "--json")
	var one struct {
		ID, Code, Bucket, Object string
		Letter                   bool
	}
	if err := json.Unmarshal([]byte(out), &one); err != nil || code != 0 || one.ID != "falsch-1" || one.Code != "invalid" || !one.Letter ||
		one.Bucket != "FACTRO_ORIGINALS_ACME" || !strings.HasPrefix(one.Object, "pending/") {
		t.Errorf("exit code %d: %s%s", code, out, errOut)
	}
	if left := p.list(); len(left) != 0 {
		t.Errorf("the dead letters are %+v", left)
	}
	for _, args := range [][]string{{"--seq", "3"}, {"--kind", "webhook"}} {
		if _, errOut, code := p.dead(append([]string{"list", "--parked"}, args...)...); code != 2 || !strings.Contains(errOut, args[0]+": ") {
			t.Errorf("%v: exit code %d: %s", args, code, errOut)
		}
	}
}
