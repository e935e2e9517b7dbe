package coreapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/budget"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// API is the way to the Core API of one cloud: its key, its request budget, its breaker, and one HTTP client. The
// commands and the queries of a cloud share it, so that each of them knows what the other one has learned.
type API struct {
	cfg    Config
	log    *slog.Logger
	client *client
	secret *secret.Reader
	budget *budget.Share
	gate   *gate
	clock  clock
	pace   pace
	probes chan struct{} // has a place for the one query that asks whether factro is back
	calls  *calls
}

// New builds the way to a cloud. transport may be nil for a default one.
func New(cfg Config, transport http.RoundTripper, log *slog.Logger) (*API, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Files == nil {
		var err error
		if cfg.Files, err = lastgood.NewFiles(log); err != nil {
			return nil, err
		}
	}
	if cfg.Budgets == nil {
		cfg.Budgets = budget.NewPool()
	}
	requests := cfg.Budgets.Share(cfg.URL, budget.Limits{PerMinute: cfg.RequestsPerMinute, Reserve: float64(cfg.Reserve) / 100})
	a := &API{
		cfg: cfg, log: log, client: newClient(cfg, transport), secret: secret.NewReader(cfg.Key, cfg.Files, lastgood.APIKey),
		budget: requests, gate: newGate(cfg.Cloud, requests), probes: make(chan struct{}, 1),
	}
	a.gate.theirs = func(now time.Time) time.Time {
		theirs, _ := a.clock.at(now)
		return theirs
	}
	_, _ = a.secret.Get() // so that a key that cannot be used is in the log at once, also while NATS is away
	var err error
	a.calls, err = newCalls(a)
	return a, err
}

// Cloud is the configured name of the cloud.
func (a *API) Cloud() string { return a.cfg.Cloud }

// Timeout bounds one call.
func (a *API) Timeout() time.Duration { return a.cfg.Timeout }

// Origin is the address of the cloud's web UI, which is that of its API without the path.
func (a *API) Origin() string {
	base, err := url.Parse(a.cfg.URL)
	if err != nil { // Validate has parsed it
		return ""
	}
	return base.Scheme + "://" + base.Host
}

// Failures counts the latest calls that failed because of factro.
func (a *API) Failures() int { return int(a.gate.breaker.Counts().TotalFailures) }

// Breaker is the state of the circuit breaker.
func (a *API) Breaker() string { return a.gate.breaker.State().String() }

// Conditions say whether factro can be reached, and why nothing is begun although it can.
func (a *API) Conditions() (reach status.Condition, paused *status.Condition) {
	reach, paused = a.gate.conditions(time.Now(), a.Key())
	if p, is := a.pause(); is {
		paused = pausedCondition(p)
	}
	return reach, paused
}

// At is a time of ours on factro's clock, and how far that may be wrong.
func (a *API) At(ours time.Time) (theirs time.Time, tolerance time.Duration) { return a.clock.at(ours) }

// Unsettled says whether factro's answers so far have told a time of their own, but too few of them to be believed.
func (a *API) Unsettled() bool { return a.clock.unsettled() }

// Paused says whether factro refuses the API key, or there is none.
func (a *API) Paused() bool { return a.gate.paused() }

// Trouble says what keeps this process from calling factro, for operators; nil if nothing is known of.
func (a *API) Trouble() error {
	key, err := a.secret.Get()
	switch state := a.gate.key(); {
	case key == "":
		return fmt.Errorf("paused: there is no API key: %w", err)
	case state == keyRefused:
		return errors.New("paused: factro does not accept the API key")
	case state == keyMissing:
		return errors.New("paused: there was no API key; the one that is there now is tried next")
	}
	since, why, next := a.gate.down()
	if since.IsZero() {
		return nil
	}
	text := "an attempt is due"
	if !next.IsZero() {
		text = "next attempt at " + clockTime(next)
	}
	return fmt.Errorf("factro cannot be reached or fails since %s (%s); %s", clockTime(since), why, text)
}

// explain is the message of an obstacle for operators, with the cause and when it is tried again.
func (a *API) explain(o Obstacle) error {
	text := o.Message()
	switch _, why, _ := a.gate.down(); {
	case o.noKey:
		_, err := a.secret.Get()
		return fmt.Errorf("there is no API key: %w; next attempt at %s", err, clockTime(o.Until))
	case o.Code == events.CodeUnavailable && why != "":
		text += " (" + why + ")"
	}
	return fmt.Errorf("%s; next attempt at %s", text, clockTime(o.Until))
}

// clockTime is a time for operators.
func clockTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Exchange makes one call through the breaker and learns from the answer. It makes none while factro asks to be left alone.
func (a *API) Exchange(ctx context.Context, try Attempt, c translate.Call, key secret.String) (Answer, Judgement) {
	var got Answer
	var j Judgement
	if a.gate.resting(time.Now(), key) {
		a.budget.GiveBack()
		return Answer{Err: errOpen, Unsent: true}, Failed
	}
	_, err := a.gate.breaker.Execute(func() (Answer, error) {
		try.state = a.gate.breaker.State().String()
		call, began := a.budget.Begin(key), time.Now()
		got = a.client.do(ctx, key, try, c)
		got.Took = time.Since(began)
		j = judge(try.Op, got)
		if got.Status != 0 && try.Take == nil && try.File == nil && j != Throttled { // what takes a stream takes as long as the stream
			a.pace.learn(got.Took)
		}
		a.spent(ctx, call, got, j)
		switch {
		case ctx.Err() != nil && got.Err != nil, got.Ours != nil, got.Stale, got.Late, j == Throttled:
			return got, errNeutral
		case got.Empty() && try.Op.Creates() && (got.SaysMade() || try.Op.Searchable()):
			return got, errNeutral // that the answer to a create may be empty is known
		case try.Take != nil && !try.Counts && !healthy(j) && !got.General():
			return got, errNeutral
		case !healthy(j):
			a.gate.fails(got)
			return got, errUnhealthy
		}
		return got, nil
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		a.budget.GiveBack()
		return Answer{Err: errOpen, Unsent: true}, Failed
	}
	a.reportChanges(ctx)
	a.learn(ctx, try, got, j, key)
	return got, j
}

// probe asks factro whether it is well again, by a cheap read. closed tells that the breaker did not let it through.
func (a *API) probe(ctx context.Context, key secret.String) (well, closed bool) {
	got, j := a.Exchange(ctx, Attempt{Op: Probe, Number: 1}, translate.Call{Method: Probe.Method, Target: Probe.Path}, key)
	switch {
	case ctx.Err() != nil:
		return false, false
	case got.Unasked():
		return false, true
	case healthy(j):
		return j != Throttled && j != Unauthorized, false
	}
	a.log.DebugContext(ctx, "factro still fails", "cloud", a.cfg.Cloud, "error", got.cause())
	if a.gate.paused() { // the breaker alone would let the next probe follow at once
		a.gate.learn(Unauthorized, got, key)
	}
	return false, false
}
