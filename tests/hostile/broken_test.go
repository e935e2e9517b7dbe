package hostile

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// An object whose index says something else than what is there ends its own command at once, and is no reason for the
// commands behind it to wait.
func TestBrokenObjects(t *testing.T) {
	t.Parallel()
	f := &forms{}
	w := newWorld(t, "objects whose index lies", setting{core: map[string]func(http.Handler) http.Handler{acme: f.before}})
	files := w.files(acme)
	status, err := files.Status(w.ctx)
	must(t, err)
	bucket := status.Bucket()
	info, err := files.PutString(w.ctx, "true", "hallo")
	must(t, err)
	for name, tt := range map[string]struct {
		index   string // the end of it; a later field replaces an earlier one
		outcome events.Outcome
	}{
		"without content": {`"nuid":"none","size":100,"chunks":1}`, events.Rejected},
		"of another name": {`"nuid":"x","size":5,"chunks":1,"name":"true"}`, events.Rejected},
		"elsewhere":       {`"nuid":"x","size":5,"chunks":1,"bucket":"SALARIES"}`, events.Rejected},
		"huge":            {`"nuid":"none","size":9000000000000000000,"chunks":1}`, events.Rejected},
		"no index":        {`"nuid":`, events.Rejected},
		// What is found out while it is sent: nobody knows what the Core API makes of the beginning.
		"another digest": {`"nuid":"` + info.NUID + `","size":5,"chunks":1,"digest":"SHA-256=x"}`, events.Dead},
		"too long":       {`"nuid":"` + info.NUID + `","size":50,"chunks":2,"digest":"` + info.Digest + `"}`, events.Dead},
		"too short":      {`"nuid":"` + info.NUID + `","size":2,"chunks":1,"digest":"` + info.Digest + `"}`, events.Dead},
	} {
		msg := nats.NewMsg("$O." + bucket + ".M." + base64.URLEncoding.EncodeToString([]byte(name)))
		msg.Header.Set("Nats-Rollup", "sub")
		msg.Data = fmt.Appendf(nil, `{"name":%q,"bucket":%q,%s`, name, bucket, tt.index)
		_, err := w.js.PublishMsg(w.ctx, msg)
		must(t, err)
		c, began := w.send(upload(t, map[string]any{"name": "a.pdf", "object": map[string]any{"bucket": bucket, "name": name}})), time.Now()
		r := w.result(c)
		if took := time.Since(began); r.outcome != tt.outcome || took > always {
			t.Errorf("%s is %s after %s, want %s within %s: %.300s", name, r.outcome, took, tt.outcome, always, r.data)
		}
	}
	w.aftermath(beta, acme)
}
