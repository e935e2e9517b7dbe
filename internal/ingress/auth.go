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

// authenticator checks the secret of one cloud's webhooks.
type authenticator struct {
	header  string
	readers []*secret.Reader
	log     *slog.Logger
	short   sync.Map // index of a secret that is shorter than it should be -> true
}

// check reads all secrets once, so that errors are logged at the start and not at the first webhook.
func (d *authenticator) check(ctx context.Context) {
	for i, reader := range d.readers {
		now, _ := reader.Get() // an error is logged by lastgood
		d.measure(ctx, i, now)
	}
}

// measure warns once if a secret is shorter than it should be.
func (d *authenticator) measure(ctx context.Context, i int, s secret.String) {
	if s == "" || len(s) >= goodSecret {
		d.short.Delete(i)
		return
	}
	if _, was := d.short.LoadOrStore(i, true); !was {
		d.log.WarnContext(ctx, "a webhook secret is short; it is all that proves a sender", "secret", i, "bytes", len(s), "want", goodSecret)
	}
}

// unusable returns the error if no secret can be read, so that no request can be authenticated.
func (d *authenticator) unusable() (err error) {
	for _, reader := range d.readers {
		var now secret.String
		if now, err = reader.Get(); now != "" {
			return nil
		}
	}
	return err
}

// given returns the secret of a request. single is the same without repetitions, since a proxy may join several header values
// into one: "a, a". why is set if there is no secret, or if there are several different ones; the same one twice counts as one.
func (d *authenticator) given(r *http.Request) (value, single, why string) {
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

// once removes repetitions from a list of equal values. The value itself may contain commas.
func once(value string) string {
	parts := strings.Split(value, ",")
	for n := 1; n <= len(parts)/2; n++ {
		if len(parts)%n == 0 && repeats(parts, n) {
			return cmp.Or(strings.TrimSpace(strings.Join(parts[:n], ",")), value)
		}
	}
	return value
}

// repeats reports whether parts consists of its first n elements, repeated.
func repeats(parts []string, n int) bool {
	for i := n; i < len(parts); i++ {
		if strings.TrimSpace(parts[i]) != strings.TrimSpace(parts[i-n]) {
			return false
		}
	}
	return true
}

// refuses compares the header's value with every accepted secret. It takes constant time: it compares the digests of all
// secrets to the end, so the time reveals neither which one matched nor how much of it. It returns the reason for a refusal, or "".
func (d *authenticator) refuses(r *http.Request) (why string) {
	value, single, why := d.given(r)
	given, givenOnce := sha256.Sum256([]byte(value)), sha256.Sum256([]byte(single))
	match, usable := 0, 0
	for i, reader := range d.readers {
		want, _ := reader.Get()
		if want == "" {
			continue // it was never readable, and an empty value must not match
		}
		d.measure(r.Context(), i, want)
		usable++
		digest := sha256.Sum256([]byte(want.Reveal()))
		match |= subtle.ConstantTimeCompare(given[:], digest[:]) | subtle.ConstantTimeCompare(givenOnce[:], digest[:])
	}
	switch {
	case why != "":
		return why
	case match == 1:
		return ""
	case usable == 0:
		return secretUnusable
	}
	return secretWrong
}

// secrets returns the values of the secrets that are usable now.
func (d *authenticator) secrets() []string {
	var out []string
	for _, reader := range d.readers {
		if now, _ := reader.Get(); now != "" { // an error is logged by lastgood
			out = append(out, now.Reveal())
		}
	}
	return out
}

// throttle counts wrong secrets by address. It slows down guessing. A correct secret always passes, since factro may share its
// address with a misconfigured webhook, or all senders may come through one proxy.
type throttle struct {
	mu    sync.Mutex
	began time.Time
	wrong map[string]int
}

const (
	throttleWindow = time.Minute
	wrongPerWindow = 10
	maxAddresses   = 10_000 // further addresses in a window share one counter, so memory stays bounded
)

// wrongSecret counts a wrong secret and returns how long its address has to wait: 0 up to wrongPerWindow.
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
