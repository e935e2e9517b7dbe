package dev

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// A mistake that is already in the message of the error is not printed again.
func TestMistakesArePrintedOnce(t *testing.T) {
	t.Parallel()
	detail := json.RawMessage(`[{"pointer":"","message":"Task not found"},{"pointer":"/title","message":"too long"}]`)
	var out strings.Builder
	printMistakes(&out, events.Error{Message: "factro answered 404: Task not found", Detail: detail})
	if out.String() != "  /title   too long\n" {
		t.Errorf("it prints %q", &out)
	}
}
