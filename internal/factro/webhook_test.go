package factro_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

func TestReadActions(t *testing.T) {
	t.Parallel()
	got, err := factro.ReadActions("# from the document of September\nTaskCreated  # known before\r\n\n\tTaskGelöscht\nNoNewline")
	if want := []string{"TaskCreated", "TaskGelöscht", "NoNewline"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for text, want := range map[string]string{
		"":                          "no name in it",
		"# nothing":                 "no name in it",
		"TaskCreated\n[\"a\", 1]\n": `line 2: "[\"a\", 1]" is not the name of an action`,
		"a,b\nc;d":                  "line 2",
	} {
		if _, err := factro.ReadActions(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestKnowsWebhookKey(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"action", "context", "id", "createdAt", "mandantId", "webhookId"} {
		if !factro.KnowsWebhookKey(name) {
			t.Errorf("%s is not known", name)
		}
	}
	for _, name := range []string{"", "Action", "entityId", "somethingNew"} {
		if factro.KnowsWebhookKey(name) {
			t.Errorf("%s is known", name)
		}
	}
}
