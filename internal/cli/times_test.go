package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
)

// Every flag for a time accepts the format that the commands print, and reports the same mistakes in the same way.
func TestFlagsTakeWhatIsPrinted(t *testing.T) {
	t.Parallel()
	at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	for _, text := range []string{timetext.Stamp(at), timetext.FineStamp(at)} {
		got, err := timetext.Moment(text, time.Now())
		if err != nil || got.Sub(at).Abs() >= time.Second {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for line, want := range map[string]string{
		"tail events --since gestern": "--since: \"gestern\" is neither", "dead list --until gestern": "--until: \"gestern\" is neither",
		"dead drop --since 2999-01-01 --yes": "--since: \"2999-01-01\" is in the future", "tail events --since -1h": "--since: \"-1h\" is in the future",
	} {
		root := newRoot("test")
		root.SetArgs(append(strings.Fields(line), "--nats", "nats://127.0.0.1:1"))
		err := root.ExecuteContext(t.Context())
		if code, ok := errors.AsType[*exit.Error](err); !ok || code.Code != exit.WrongUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}
