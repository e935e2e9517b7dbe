package mirror

import (
	"github.com/factro-bridge/factro-bridge/internal/mirror/diff"
	"github.com/factro-bridge/factro-bridge/internal/mirror/queue"
)

// mark adds which command of ours has made a change, if that is known.
func (s *session) mark(queue.Work, diff.Object, diff.Object, diff.Difference, fetched, map[string]any) {
}
