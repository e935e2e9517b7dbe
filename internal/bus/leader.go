package bus

import (
	"strings"
	"time"
)

// OnlyDirect says whether the leader of a stream may not be asked, on this connection.
func (b *Conn) OnlyDirect(stream string) bool { return b.health.isDirect(stream) }

// leaderRefused notes that the leader of a stream may not be asked, and says whether that is what was refused. Then any server
// answers for it, as before this right was needed.
func (b *Conn) leaderRefused(r refusal) bool {
	stream, ok := strings.CutPrefix(r.subject, b.cfg.API("STREAM.MSG.GET."))
	if !ok || !r.publish {
		return false
	}
	b.health.direct(stream)
	if skipped, due := b.samples.Due("direct "+stream, time.Now()); due {
		b.log.Warn("the leader of a stream may not be asked, so any server answers for it, and one that has stopped answers with the past; grant the permission",
			"permission", r.subject, "stream", stream, "not_logged", skipped)
	}
	return true
}
