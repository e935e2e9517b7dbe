package watch_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/watch"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// reports runs a watch for a minute. Its questions get the answers of the script, and then the last of them again and again.
func reports(t *testing.T, script ...func() (status.Status, error)) (got []string, asked int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		watch.Status(ctx, func(context.Context) (status.Status, error) {
			asked++
			return script[min(asked, len(script))-1]()
		}, func(s status.Status, err error) {
			text := s.Factro.State
			if s.Paused != nil {
				text += " paused"
			}
			if err != nil {
				text = err.Error()
			}
			got = append(got, fmt.Sprint(time.Since(began), " ", text))
		})
	})
	return got, asked
}

func answer(s status.Status) func() (status.Status, error) {
	return func() (status.Status, error) {
		now, at := s, time.Now() // what changes all the time
		now.At, now.Factro.RetryAt = at, &at
		return now, nil
	}
}

func failure(err error) func() (status.Status, error) {
	return func() (status.Status, error) { return status.Status{}, err }
}

// TestStatus: a state is reported after a second and when it changes, and errors once.
func TestStatus(t *testing.T) {
	t.Parallel()
	up := answer(status.Status{Factro: status.Condition{State: status.Reachable}})
	down := answer(status.Status{Factro: status.Condition{State: status.Unreachable}})
	paused := func() (status.Status, error) {
		at := time.Now()
		return status.Status{Factro: status.Condition{State: status.Reachable}, Paused: &status.Condition{State: status.Paused, RetryAt: &at}}, nil
	}
	nobody, silence := failure(nats.ErrNoResponders), failure(context.DeadlineExceeded)
	away := failure(nats.ErrConnectionReconnecting)
	for name, tt := range map[string]struct {
		script []func() (status.Status, error)
		want   []string
		ends   bool // nobody is asked any more
	}{
		"nothing changes":        {[]func() (status.Status, error){up}, []string{"1s reachable"}, false},
		"paused":                 {[]func() (status.Status, error){up, up, paused}, []string{"1s reachable", "3s reachable paused"}, false},
		"it changes and is back": {[]func() (status.Status, error){up, down, down, up}, []string{"1s unreachable", "5s reachable"}, false},
		"a bridge restarts":      {[]func() (status.Status, error){nobody, nobody, up}, []string{"1s reachable"}, false},
		"nobody is there":        {[]func() (status.Status, error){nobody}, []string{"200ms nats: no responders available for request"}, false},
		"somebody comes": {
			[]func() (status.Status, error){nobody, nobody, nobody, up},
			[]string{"200ms nats: no responders available for request", "2.2s reachable"},
			false,
		},
		"the right is missing": {[]func() (status.Status, error){silence}, []string{"0s context deadline exceeded"}, true},
		"one answer is lost": {
			[]func() (status.Status, error){up, up, silence, up}, []string{"1s reachable", "3s context deadline exceeded", "5s reachable"}, false,
		},
		"the connection is away": {[]func() (status.Status, error){away}, []string{"0s nats: connection reconnecting"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, asked := reports(t, tt.script...)
			if !slices.Equal(got, tt.want) || (asked == 2) != tt.ends {
				t.Errorf("got %q after %d questions, want %q", got, asked, tt.want)
			}
		})
	}
}
