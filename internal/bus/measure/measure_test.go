package measure

import "testing"

func TestDestination(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{
		"factro.event.acme.task.1.TaskStateChanged": "factro.event.acme", "factro.dead.webhook.acme": "factro.dead.webhook", "a": "a",
	} {
		if got := Destination(subject); got != want {
			t.Errorf("%s: %s, want %s", subject, got, want)
		}
	}
}
