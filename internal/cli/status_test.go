package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// unreachable reports a factro that is away.
type unreachable struct{}

func (unreachable) Status() status.Status {
	return status.Status{Factro: status.Condition{State: status.Unreachable, Reason: status.ReasonNoConnection}}
}

// showStatus runs bridge status on a server.
func showStatus(t *testing.T, s *natstest.Server, args ...string) (string, error) {
	t.Helper()
	root := newRoot("test")
	var out bytes.Buffer
	root.SetArgs(append([]string{"status", "--nats", s.URL()}, args...))
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// TestStatus: it shows the bridges, who works on what, factro and the queue; nobody at work is a failure, and so is what it cannot see.
func TestStatus(t *testing.T) {
	t.Setenv("NATS_CONTEXT", "")
	s := natstest.Start(t)
	conn := bustest.Running(t, s)
	out, err := showStatus(t, s)
	if err == nil || !strings.Contains(err.Error(), "no bridge carries out the commands of acme") || !strings.Contains(out, "none") || !strings.Contains(out, "?") {
		t.Errorf("without a bridge it shows %v\n%s", err, out)
	}

	f, err := lease.NewFleet(conn, bustest.Ensurer(conn), lease.Member{ID: "host-1", Version: "1.2.3", Roles: []string{"egress", "reconcile"}, Started: time.Now()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	bustest.Start(t, f.Run)
	bustest.Start(t, func(ctx context.Context) error {
		return queries.ServeStatus(ctx, conn, "acme", unreachable{}, slog.New(slog.DiscardHandler))
	})
	for _, work := range []string{lease.Commands, lease.Reconcile} {
		held, err := f.Acquire(t.Context(), lease.Key(work, "acme"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { held.Release(context.Background()) }) //nolint:usetesting // t.Context has ended by then
	}
	nc, js := s.Connect(t)
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "factro.command.acme.task.createTask", Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the status is served", func() bool {
		_, err := nc.Request("factro.query.acme.status", nil, time.Second)
		return err == nil
	})
	out, err = showStatus(t, s)
	if err != nil {
		t.Errorf("%v", err)
	}
	var rows [][]string
	for line := range strings.Lines(out) {
		rows = append(rows, strings.Fields(line))
	}
	if len(rows) != 5 || !slices.Equal(rows[1][:3], []string{"host-1", "1.2.3", "egress,reconcile"}) || rows[1][4] != "2" ||
		!slices.Equal(rows[4][:4], []string{"acme", "host-1", "host-1", "1"}) || !strings.Contains(out, "factro unreachable") {
		t.Errorf("it shows\n%s", out)
	}

	out, err = showStatus(t, s, "--cloud", "acme", "--json")
	var got overview
	if err != nil || json.Unmarshal([]byte(out), &got) != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(got.Bridges) != 1 || !slices.Equal(got.Bridges[0].Active, []string{"commands.acme", "reconcile.acme"}) || len(got.Clouds) != 1 {
		t.Fatalf("it shows\n%s", out)
	}
	c := got.Clouds[0]
	if *c.Commands != "host-1" || *c.Reconcile != "host-1" || c.Factro.State != status.Unreachable || *c.Waiting != 1 || time.Since(*c.Oldest) > time.Minute {
		t.Errorf("it shows\n%s", out)
	}
}
