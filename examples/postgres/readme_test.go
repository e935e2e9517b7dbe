package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The queries of README.md work, and the program is as short as it says.
func TestREADME(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	d, m := newDatabase(t, false), startMirror(t)
	m.put(t, "task", "4711", `{"id":"4711","title":"Prüfung","taskState":"open","endDate":"2026-01-31"}`)
	startProgram(t, d, m.server)
	wantSame(t, d, m)
	queries := regexp.MustCompile("(?ms)^```sql\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	for _, q := range queries {
		for statement := range strings.SplitSeq(strings.TrimSpace(q[1]), ";") {
			if _, err := d.conn.Exec(t.Context(), statement); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
		}
	}
	if len(queries) < 2 {
		t.Errorf("found %d queries only: the search is broken", len(queries))
	}
}
