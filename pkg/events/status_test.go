package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// answerStatus has the bridge's side answer the question why commands wait.
func answerStatus(t *testing.T, b *broker, answer func(status.Request) any) {
	t.Helper()
	nc, _ := b.connect(t)
	if _, err := nc.Subscribe(prefix.Status("acme"), func(msg *nats.Msg) {
		var ask status.Request
		if err := json.Unmarshal(msg.Data, &ask); err != nil {
			panic(err)
		}
		text, err := json.Marshal(answer(ask))
		if err != nil {
			panic(err)
		}
		_ = msg.Respond(text)
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// TestOnStatus: a sender hears what its command waits for, once it takes a second, and again when that changes, though not for each question.
func TestOnStatus(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	c, f := client(t, func(events.Command) []events.Result { <-goOn; return []events.Result{applied(nil)} })
	var before atomic.Uint64
	before.Store(2)
	answerStatus(t, f.b, func(ask status.Request) any {
		if ask.Position != "FACTRO_COMMANDS_ACME:1" {
			t.Errorf("asked about %q", ask.Position)
		}
		retry := time.Now() // what changes all the time is no news
		return status.Status{
			Cloud: "acme", At: time.Now(), Command: status.CommandQueued, Before: new(before.Load()), Factro: status.Condition{State: status.Unreachable, RetryAt: &retry},
		}
	})
	began := time.Now()
	var reported []uint64
	r, err := c.Do(t.Context(), setState, events.OnStatus(func(s status.Status, err error) {
		if err != nil {
			t.Error(err)
			return
		}
		if reported = append(reported, *s.Before); len(reported) == 1 {
			if d := time.Since(began); d < time.Second {
				t.Errorf("reported after %s", d)
			}
			before.Store(1)
		} else {
			close(goOn)
		}
	}))
	if err != nil || r.Outcome != events.Applied || !slices.Equal(reported, []uint64{2, 1}) {
		t.Errorf("got %+v, %v; reported %v", r, err, reported)
	}
}

// TestOnStatusNobody: that nobody is there is reported once and at once, and that somebody has come, too.
func TestOnStatusNobody(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	c := events.NewClient(b.js, "acme")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	var reported []string
	_, err := c.Do(ctx, setState, events.OnStatus(func(s status.Status, err error) {
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("reported after %s", d)
			}
			reported = append(reported, "nobody")
			answerStatus(t, b, func(status.Request) any { return status.Status{Cloud: "acme"} })
		case err != nil:
			t.Error(err)
		default:
			reported = append(reported, s.Cloud)
			cancel()
		}
	}))
	if !errors.As(err, new(*events.PendingError)) || fmt.Sprint(reported) != "[nobody acme]" {
		t.Errorf("got %v, reported %v", err, reported)
	}
}

// TestStatusRefused: what the bridge refuses is an Error, and a name that is none is no question.
func TestStatusRefused(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	if _, err := b.nc.Subscribe(prefix.Status("acme"), func(msg *nats.Msg) {
		_ = msg.RespondMsg(&nats.Msg{Header: nats.Header{events.HeaderErrorCode: {"400"}, events.HeaderError: {"no"}}, Data: []byte(`{"code":"invalid","message":"no"}`)})
	}); err != nil {
		t.Fatal(err)
	}
	_, err := events.NewClient(b.js, "acme").Status(t.Context(), "x")
	if e, ok := errors.AsType[*events.Error](err); !ok || e.Code != events.CodeInvalid || e.Status != 400 {
		t.Errorf("got %v", err)
	}
	if _, err := events.NewClient(b.js, "*").Status(t.Context(), ""); !contains(err, `cloud "*" is not`) {
		t.Errorf("got %v", err)
	}
}
