package doctor

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/doctor"
)

const page = "../../../docs/doctor.md"

func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var replicas = doctor.Result{Name: "nats-replicas", Group: "nats", Level: doctor.Warning, Findings: []doctor.Finding{{
	Level: doctor.Warning, Cloud: "acme", About: "FACTRO_EVENTS_ACME", What: "one server of the cluster east holds the stream",
	Why: "if the one server that holds the stream is away, it takes nothing", Fix: "nats stream edit FACTRO_EVENTS_ACME --replicas 3 --force",
}}}

// The page shows what is printed for people, and -q leaves out what is good.
func TestPrint(t *testing.T) {
	t.Parallel()
	r := doctor.Report{OK: true, Warnings: 1, Unknown: 1, Checks: []doctor.Result{
		{Name: "nats-version", Group: "nats", Findings: []doctor.Finding{{What: "the server has all features that the bridge uses"}}},
		replicas,
		{Name: "nats-sync", Group: "nats", Level: doctor.Unknown, Findings: []doctor.Finding{{
			Level: doctor.Unknown, What: "the server shows its sync interval only in its monitoring, whose address is not known",
			Why: "after a power cut, messages of the last minutes are gone", Fix: "bridge doctor --monitoring http://127.0.0.1:8222",
		}}},
	}}
	var all, quiet bytes.Buffer
	if err := printReport(&all, r, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(document(t), "```text\n"+all.String()+"```\n") {
		t.Errorf("%s does not show\n%s", page, &all)
	}
	if err := printReport(&quiet, r, true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(quiet.String(), "nats-version") || !strings.Contains(quiet.String(), "nats-sync") {
		t.Errorf("with -q it prints\n%s", &quiet)
	}
}

// The page shows the document for programs.
func TestJSON(t *testing.T) {
	t.Parallel()
	text, err := json.MarshalIndent(doctor.Report{OK: true, Warnings: 1, Requests: map[string]int{"acme": 3}, Checks: []doctor.Result{replicas}}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(document(t), "```json\n"+string(text)+"\n```\n") {
		t.Errorf("%s does not show\n%s", page, text)
	}
}
