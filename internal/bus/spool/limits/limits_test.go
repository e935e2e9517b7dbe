package limits_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus/spool/limits"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

const file = "limits.json"

func TestSaved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if l, err := limits.Read(dir); err != nil || l.Of("acme") != 0 {
		t.Errorf("without a file: %+v, %v", l, err)
	}
	for text, want := range map[string]string{"{": "unexpected end", `{"max_payload":-5}`: "max_payload is -5"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := limits.Read(dir); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), want) {
			t.Errorf("of %s: %v", text, err)
		}
	}
	var saved limits.Saved
	if err := saved.Load(dir); err == nil {
		t.Error("a broken file is loaded")
	}
	for _, test := range []struct {
		seen      topology.Limits
		acme, all int64
	}{
		{topology.Limits{Payload: 5000, Messages: map[string]int64{"acme": 300}}, 300, 5000},
		{topology.Limits{Payload: 6000}, 300, 6000},                                         // the stream was not seen yet
		{topology.Limits{Payload: 6000, Messages: map[string]int64{"acme": 0}}, 6000, 6000}, // it has no limit any more
	} {
		if err := saved.Save(dir, test.seen); err != nil {
			t.Fatal(err)
		}
		if l, err := limits.Read(dir); err != nil || l.Of("acme") != test.acme || l.Of("other") != test.all {
			t.Errorf("of %+v saved are %+v, %v", test.seen, l, err)
		}
	}
	for _, test := range []struct{ seen, want int64 }{{0, 6000}, {7000, 7000}} {
		if l := saved.Now(topology.Limits{Payload: test.seen}); l.Of("other") != test.want {
			t.Errorf("with %d seen now they are %+v", test.seen, l)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, file+".*")); err != nil || len(left) != 0 {
		t.Errorf("left over are %v, %v", left, err)
	}
}
