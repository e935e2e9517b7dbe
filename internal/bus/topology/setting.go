package topology

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// Codes of the server when it does not make a stream or bucket.
const (
	noPeers         jetstream.ErrorCode = 10005
	tooManyStreams  jetstream.ErrorCode = 10027
	noJSForAccount  jetstream.ErrorCode = 10039
	invalidConfig   jetstream.ErrorCode = 10052
	oneServer       jetstream.ErrorCode = 10074
	noJS            jetstream.ErrorCode = 10076
	maxBytesWanted  jetstream.ErrorCode = 10113
	noTier          jetstream.ErrorCode = 10120
	maxBytesTooHigh jetstream.ErrorCode = 10122
)

// WithSetting adds to the server's refusal of a stream or bucket the setting that helps, ours or the server's.
func WithSetting(err error, s Kind) error {
	var help string
	kind := s.Name()
	refused, ok := natserr.Refusal(err)
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		help = "it has no JetStream, or not yet: enable it at the server, and look at nats.domain and nats.api_prefix"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		help = "the account has no JetStream; enable it there, or use the credentials of another account"
	case !ok:
		return err
	default:
		help = settingFor(refused, kind, s.Setting())
	}
	if help == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, help)
}

func settingFor(refused *jetstream.APIError, kind, maxBytes string) string {
	switch refused.ErrorCode {
	case noPeers, noTier:
		return fmt.Sprintf("no servers fit: look at nats.replicas, nats.streams.%s.replicas, .cluster and .tags, and at their room", kind)
	case tooManyStreams:
		return "the account allows no more streams: raise its limit (streams, max_streams); the bridge needs twelve for each cloud, fourteen with a mirror, and two"
	case noJS:
		return "start the server with JetStream enabled"
	case noJSForAccount:
		return "the account has no JetStream; enable it there, or use the credentials of another account"
	case oneServer:
		return fmt.Sprintf("the server is no cluster: set nats.replicas and nats.streams.%s.replicas to 1", kind)
	case maxBytesWanted:
		return "the account wants a limit in bytes for each stream (max_bytes_required), and a stream of an older version is taken over without one: drop that limit until then"
	case maxBytesTooHigh:
		if maxBytes != "" {
			return "lower " + maxBytes + ", or raise the account's limit for one stream (max_bytes, disk_max_stream_bytes)"
		}
		return "raise the account's limit for one stream (disk_max_stream_bytes)"
	case invalidConfig:
		if strings.Contains(refused.Description, "duplicate") {
			return "lower nats.duplicate_window, or raise the server's limit (jetstream.limits.duplicate_window)"
		}
		return fmt.Sprintf("look at nats.streams.%s; or the server is older than the bridge needs", kind)
	default:
		return ""
	}
}

// OutOfStreams says whether less bytes are no help.
func OutOfStreams(err error) bool {
	refused, ok := natserr.Refusal(err)
	return ok && refused.ErrorCode == tooManyStreams
}
