package translate_test

import (
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/translate"
)

func TestResourceOf(t *testing.T) {
	t.Parallel()
	for action, want := range map[string]string{
		"TaskStateChanged":     "task",
		"WorkRecordCreated":    "work-record",
		"TodoListElementAdded": "todo-list",
		"CustomViewX":          "custom-view",
		"CustomView":           "custom-view",
		"CustomFieldChanged":   "custom",
		"TodoAdded":            "todo",
		"MilestoneReached":     "milestone",
		"Workrecord":           "workrecord",
		"WorkRecordsImported":  "work",
		"HTTPThing":            "http",
		"HTTP":                 "http",
		"XChanged":             "x",
		"Task2Done":            "task2",
		"2Done":                "2",
		"taskDone":             "task",
		"taskdone":             "taskdone",
		"workRecordDone":       "work-record",
		"Work_RecordDone":      "work-record",
		"  Task Done":          "task",
		"ÜbersichtGeändert":    "übersicht",
		"äÖü":                  "ä",
		"":                     "",
		"._-":                  "",
		"\xff\xfe":             "",
	} {
		if got := translate.ResourceOf(action); got != want {
			t.Errorf("ResourceOf(%q) = %q, want %q", action, got, want)
		}
	}
}
