package tests

import (
	"slices"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notice"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// TestKeyNotices: a bridge reports once that factro refuses its key, with the time of the next attempt, and once that it accepts it
// again.
func TestKeyNotices(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	f.SetKey(laterKey)
	if _, err := events.NewClient(js, "acme").Send(t.Context(), payload.DeleteTask{TaskID: noTask}); err != nil {
		t.Fatal(err)
	}
	reported := func() (all []string) {
		for _, m := range read(t, js, "FACTRO_BRIDGE_ACME", ">") {
			what, data, err := notice.Of(m.event)
			if err != nil || data.Since == nil || data.Bridge == "" || (what == notice.KeyRefused) != (data.NextAttempt != nil && data.Cause != "") {
				t.Errorf("%s: %+v, %v", m.subject, data, err)
			}
			all = append(all, what)
		}
		return all
	}
	waitFor(t, "the refusal is reported", func() bool { return slices.Equal(reported(), []string{notice.KeyRefused}) })
	writeFile(t, b.keyFile, laterKey)
	waitFor(t, "the end is reported", func() bool { return slices.Equal(reported(), []string{notice.KeyRefused, notice.KeyAccepted}) })
}
