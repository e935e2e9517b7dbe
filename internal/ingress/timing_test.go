package ingress_test

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/ingress"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// TestTimeTellsNothing: a guess of the secret's length takes as long as the secret, however much of it is correct, and
// whichever of two secrets it is. The secrets are long, so that a comparison that ends early would show.
func TestTimeTellsNothing(t *testing.T) { //nolint:paralleltest // what runs beside it is noise
	const length, rounds, tries, tolerated = 4 << 10, 2000, 8, 0.1
	first, second := confidential+strings.Repeat("a", length), confidential+strings.Repeat("b", length)
	s, _ := newServer(t, with(config(), func(c *ingress.Cloud) { c.Secrets = values(secret.String(first), secret.String(second)) }), &memoryStore{})
	guesses := map[string]string{
		"the first secret": first, "the second secret": second, "wrong from the start": strings.Repeat("x", len(first)),
		"half of it": first[:len(first)/2] + strings.Repeat("x", len(first)-len(first)/2), "all but the last": first[:len(first)-1] + "x",
	}
	names, requests := slices.Sorted(maps.Keys(guesses)), map[string]*http.Request{}
	for name, guess := range guesses {
		requests[name] = request(t, good)
		key(guess)(requests[name])
		if got, want := s.Authenticates("acme", requests[name]), strings.HasSuffix(name, "secret"); got != want {
			t.Fatalf("%s: the secret was accepted: %t", name, got)
		}
	}
	var shortest, longest time.Duration
	for range tries { // one try without much noise is enough
		took := map[string][]time.Duration{}
		for range rounds {
			for _, i := range rand.Perm(len(names)) {
				r, began := requests[names[i]], time.Now()
				s.Authenticates("acme", r)
				took[names[i]] = append(took[names[i]], time.Since(began))
			}
		}
		shortest, longest = time.Hour, 0
		text := ""
		for _, name := range names {
			slices.Sort(took[name])
			usual := took[name][rounds/4] // what lies above is the noise of the machine
			shortest, longest = min(shortest, usual), max(longest, usual)
			text += name + " " + usual.String() + ", "
		}
		t.Log(text)
		if float64(longest-shortest) <= tolerated*float64(shortest) {
			return
		}
	}
	t.Errorf("guesses take between %s and %s", shortest, longest)
}
