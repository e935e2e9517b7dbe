package deadletter

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter/pack"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// waiting is what a client finds parked.
func waiting(t *testing.T, srv *natstest.Server) (all []Parked) {
	t.Helper()
	err := ListParked(t.Context(), bustest.Client(t, srv), "factro", "acme", func(p Parked) error {
		all = append(all, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestParkedOddly: what no bridge has parked is shown as far as it can be read, and keeps nothing else from being shown.
func TestParkedOddly(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	if all := waiting(t, srv); len(all) != 0 {
		t.Errorf("without a bucket %+v are parked", all)
	}
	bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet()))
	out := bustest.Connected(t, srv)
	out.Bytes("OBJ_FACTRO_ORIGINALS_ACME")
	objects, err := out.JS.ObjectStore(t.Context(), "FACTRO_ORIGINALS_ACME")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"pending/20260301T120000.000000000/x": `{"subject":"factro.result.acme.task.createTask.applied","size":3}` + "\nabc",
		"pending/a":                           "unlesbar", "pending/b": `{"subject":"strange","size":0}` + "\n", "dead/1": "an original",
	} {
		if _, err := objects.PutString(t.Context(), name, content); err != nil {
			t.Fatal(err)
		}
	}
	all := waiting(t, srv)
	if len(all) != 3 {
		t.Fatalf("it finds %+v", all)
	}
	if p := all[0]; p.Outcome != "applied" || p.Operation != "createTask" || p.Since.Hour() != 12 || p.Broken != nil {
		t.Errorf("a result that is none: %+v", p)
	}
	if p := all[1]; !errors.Is(p.Broken, pack.ErrFormat) || p.Object != "pending/a" || !p.Since.IsZero() {
		t.Errorf("what cannot be read: %+v", p)
	}
	if p := all[2]; p.Broken != nil || !slices.Equal(p.Subjects, []string{"strange"}) {
		t.Errorf("a subject of nobody: %+v", p)
	}
}

// TestQuarantineKept: a webhook that is no event and that no dead letter can hold is not cut silently.
func TestQuarantineKept(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet()))
	out := bustest.Connected(t, srv)
	out.Limit("FACTRO_DEAD_ACME", 80<<10)
	body := strings.Repeat("kein JSON ", 20<<10)
	if err := store(t, b).Quarantine(t.Context(), "factro.dead.webhook.acme", "acme.dead.1", "unusable", errors.New("no"), []byte(body), nil); err != nil {
		t.Fatal(err)
	}
	client := bustest.Client(t, srv)
	l, err := Get(t.Context(), client, "factro", "acme", 1)
	if err != nil || !l.Partial || l.Size != len(body) || len(l.Data) == 0 {
		t.Fatalf("the letter is %+v, %v", l, err)
	}
	if whole, err := Original(t.Context(), client, "factro", l); err != nil || string(whole.Data) != body || whole.Kind != Webhook {
		t.Errorf("the original is %d bytes, %v", len(whole.Data), err)
	}
	l.Kept = "pending/x"
	if _, err := Original(t.Context(), client, "factro", l); !errors.Is(err, objects.ErrNoFile) {
		t.Errorf("any object of the bucket can be read: %v", err)
	}
}
