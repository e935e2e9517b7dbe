package ensure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// overlaps is the server's code for a stream whose subjects another one has.
const overlaps = 10065

// withOther names the stream that keeps ours from being made, or from taking its subjects.
func withOther(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, err error) error {
	refused, ok := natserr.Refusal(err)
	if !ok || refused.ErrorCode != overlaps {
		return err
	}
	for _, subject := range want.Subjects {
		if name := publish.OtherOn(ctx, js, subject, want.Name); name != "" {
			return fmt.Errorf("%w: the stream %s has %s; take the subject from it, or choose another nats.prefix: %w", errTaken, name, subject, err)
		}
	}
	return err
}

var errTaken = errors.New("a stream of somebody else has its subjects")

// missingSubjects says which subjects a stream of ours has lost, and which stream has them. Whether the queue of commands has all of its own is
// its senders' matter, unless another stream takes them.
func missingSubjects(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, have *jetstream.StreamInfo, weSend bool) error {
	for _, subject := range want.Subjects {
		if slices.ContainsFunc(have.Config.Subjects, func(s string) bool { return covers(s, subject) }) {
			continue
		}
		if name := publish.OtherOn(ctx, js, subject, want.Name); name != "" {
			return fmt.Errorf("stream %s %w: %w: the stream %s has %s", want.Name, errUnusable, errTaken, name, subject)
		}
		if weSend {
			return fmt.Errorf("stream %s %w: it does not take %s", want.Name, errUnusable, subject)
		}
	}
	return nil
}

// covers says whether a filter takes all that another one does.
func covers(filter, other string) bool {
	f, o := strings.Split(filter, "."), strings.Split(other, ".")
	for i, token := range f {
		switch {
		case token == ">":
			return i < len(o)
		case i >= len(o) || o[i] == ">":
			return false
		case token != "*" && token != o[i]:
			return false
		}
	}
	return len(f) == len(o)
}
