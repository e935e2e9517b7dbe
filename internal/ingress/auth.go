package ingress

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// door checks the secret of one cloud's webhooks.
type door struct {
	header  string
	readers []*secret.Reader
	log     *slog.Logger
	short   sync.Map // index of a secret that is shorter than it should be -> true
}

// check reads all secrets once, so that the operator hears of what is wrong at the start and not at the first webhook.
func (d *door) check(ctx context.Context) {
	for i, reader := range d.readers {
		now, _ := reader.Get() // an error is logged by lastgood
		d.measure(ctx, i, now)
	}
}

// measure logs once when a secret is shorter than it should be.
func (d *door) measure(ctx context.Context, i int, s secret.String) {
	if s == "" || len(s) >= goodSecret {
		d.short.Delete(i)
		return
	}
	if _, was := d.short.LoadOrStore(i, true); !was {
		d.log.WarnContext(ctx, "a webhook secret is short; it is all that proves a sender", "secret", i, "bytes", len(s), "want", goodSecret)
	}
}

// unusable says why nobody can be admitted, or nil.
func (d *door) unusable() (err error) {
	for _, reader := range d.readers {
		var now secret.String
		if now, err = reader.Get(); now != "" {
			return nil
		}
	}
	return err
}

// given is the secret that a request brings, and the same without repetitions if a proxy may have made one value of several:
// "a, a". why says that there is none, or several different ones; the same one twice is one.
func (d *door) given(r *http.Request) (value, single, why string) {
	values := r.Header.Values(d.header)
	if len(values) == 0 {
		return "", "", secretAbsent
	}
	value = strings.TrimSpace(values[0])
	for _, other := range values[1:] {
		if strings.TrimSpace(other) != value {
			return "", "", secretTwice
		}
	}
	if value == "" {
		return "", "", secretAbsent
	}
	return value, once(value), ""
}

// once is a value without its repetitions in a list. The value may have commas of its own.
func once(value string) string {
	parts := strings.Split(value, ",")
	for n := 1; n <= len(parts)/2; n++ {
		if len(parts)%n == 0 && repeats(parts, n) {
			return cmp.Or(strings.TrimSpace(strings.Join(parts[:n], ",")), value)
		}
	}
	return value
}

// repeats says whether parts are the first n of them again and again.
func repeats(parts []string, n int) bool {
	for i := n; i < len(parts); i++ {
		if strings.TrimSpace(parts[i]) != strings.TrimSpace(parts[i-n]) {
			return false
		}
	}
	return true
}

// refuses compares the header's value with every accepted secret, in a time that tells neither which one nor how much of
// one matched: it compares digests, all of them, to the end. It returns why the request is refused, or "".
func (d *door) refuses(r *http.Request) (why string) {
	value, single, why := d.given(r)
	given, givenOnce := sha256.Sum256([]byte(value)), sha256.Sum256([]byte(single))
	match, usables := 0, 0
	for i, reader := range d.readers {
		want, _ := reader.Get()
		if want == "" {
			continue // there never was a good one, and an empty value must not be admitted
		}
		d.measure(r.Context(), i, want)
		usables++
		digest := sha256.Sum256([]byte(want.Reveal()))
		match |= subtle.ConstantTimeCompare(given[:], digest[:]) | subtle.ConstantTimeCompare(givenOnce[:], digest[:])
	}
	switch {
	case why != "":
		return why
	case match == 1:
		return ""
	case usables == 0:
		return secretUnusable
	}
	return secretWrong
}

// secrets are the texts of the secrets that can be used now.
func (d *door) secrets() []string {
	var out []string
	for _, reader := range d.readers {
		if now, _ := reader.Get(); now != "" { // an error is logged by lastgood
			out = append(out, now.Reveal())
		}
	}
	return out
}

// throttle counts wrong secrets by address. It slows down who guesses; a right secret always passes, since factro may
// share its address with a webhook that somebody has configured wrongly, or all senders may stand behind one proxy.
type throttle struct {
	mu    sync.Mutex
	began time.Time
	wrong map[string]int
}

const (
	throttleWindow = time.Minute
	wrongPerWindow = 10
	maxAddresses   = 10_000 // more in one window share what is left: memory stays bounded
)

// wrongSecret counts a wrong secret and returns how long its address is to wait, 0 if it is only to be told.
func (t *throttle) wrongSecret(address string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wrong == nil || now.Sub(t.began) >= throttleWindow {
		t.began, t.wrong = now, map[string]int{}
	}
	if _, known := t.wrong[address]; !known && len(t.wrong) >= maxAddresses {
		address = "others"
	}
	t.wrong[address]++
	if t.wrong[address] <= wrongPerWindow {
		return 0
	}
	return t.began.Add(throttleWindow).Sub(now)
}
