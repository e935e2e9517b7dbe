package ingress_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/ingress"
)

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func with(cfg ingress.Config, change func(*ingress.Cloud)) ingress.Config {
	change(&cfg.Clouds[0])
	return cfg
}

func statusFor(t testing.TB, s *ingress.Server, values ...string) int {
	t.Helper()
	r := request(t, good)
	key(values...)(r)
	return answer(t, s, r).status
}

// TestRotation: a new secret in the file is accepted within seconds, and the old one no longer.
func TestRotation(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	write(t, file, oldSecret+"\n")
	cfg := with(config(), func(c *ingress.Cloud) { c.Secrets = files(file) })
	synctest.Test(t, func(t *testing.T) {
		s, book := newServer(t, cfg, &memoryStore{})
		for i, step := range []struct {
			text     string
			old, new int
		}{
			{oldSecret, 202, 401},
			{" " + newSecret + "\r\n", 401, 202},
			{"", 401, 202}, // half-way through a replacement: the last good value stays
			{oldSecret, 202, 401},
		} {
			write(t, file, step.text)
			time.Sleep(2 * time.Second) //nolint:forbidigo // in a bubble
			if got := [2]int{statusFor(t, s, oldSecret), statusFor(t, s, newSecret)}; got != [2]int{step.old, step.new} {
				t.Errorf("step %d: got %v", i, got)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) //nolint:forbidigo // in a bubble
		if got := statusFor(t, s, oldSecret); got != 202 {
			t.Errorf("with the file gone: got %d", got)
		}
		if text := book.String(); strings.Count(text, "cannot be used") != 2 || strings.Count(text, "can be used again") != 1 {
			t.Errorf("the log says %s", text)
		}
	})
}

// TestUnusableSecrets: an empty, blank, short or missing secret authenticates nobody.
func TestUnusableSecrets(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"empty": "", "blank": " \n\t ", "short": "1234567", "missing": "-"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "secret")
			if name != "missing" {
				write(t, file, text)
			}
			s, book := newServer(t, with(config(), func(c *ingress.Cloud) { c.Secrets = files(file) }), &memoryStore{})
			for _, value := range []string{"", " ", text, strings.TrimSpace(text), oldSecret} {
				want := 503 // nobody can say whether it is right
				if strings.TrimSpace(value) == "" {
					want = 401
				}
				if got := statusFor(t, s, value); got != want {
					t.Errorf("%q: got %d, want %d", value, got, want)
				}
			}
			if got := statusFor(t, s); got != 401 {
				t.Errorf("without the header: got %d", got)
			}
			if text := book.String(); strings.Count(text, `"level":"ERROR"`) != 1 {
				t.Errorf("the log says %s", text)
			}
		})
	}
}

// TestEverySecretIsCompared: the second secret's broken file is noticed although the first secret matches, so the
// comparison does not stop early and its time does not reveal which secret matched.
func TestEverySecretIsCompared(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	s, book := newServer(t, with(config(), func(c *ingress.Cloud) { c.Secrets = append(values(oldSecret), files(missing)...) }), &memoryStore{})
	if got := statusFor(t, s, oldSecret); got != 202 {
		t.Errorf("got %d", got)
	}
	if !strings.Contains(book.String(), "cannot be used") {
		t.Errorf("the second secret was not read: %s", book)
	}
}

// TestSecretWithCommas: a proxy may join two values into one, and a value may contain commas.
func TestSecretWithCommas(t *testing.T) {
	t.Parallel()
	const value = confidential + "a,b, c"
	s, _ := newServer(t, with(config(), func(c *ingress.Cloud) { c.Secrets = values(value) }), &memoryStore{})
	for given, want := range map[string]int{
		value: 202, value + ", " + value: 202, value + "," + value + " , " + value: 202, value + ", " + value + ",": 401,
		value + ", " + confidential + "a,b": 401, ",": 401, strings.Repeat(",", 4000): 401,
	} {
		r := request(t, good)
		key(given)(r)
		wantStatus(t, answer(t, s, r), want)
	}
}

// TestBlanksInTheConfiguration: a header's value never has blanks around it, so a secret with blanks must match without
// them.
func TestBlanksInTheConfiguration(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, with(config(), func(c *ingress.Cloud) { c.Secrets = values(" " + oldSecret + "\n") }), &memoryStore{})
	if got := statusFor(t, s, oldSecret); got != 202 {
		t.Errorf("got %d", got)
	}
}

func from(address string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = address }
}

// TestThrottle: only an address that guesses has to wait, and a correct secret is never refused.
func TestThrottle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(t, config(), &memoryStore{})
		send := func(address, secret string) reply {
			r := request(t, good)
			from(address)(r)
			key(secret)(r)
			return answer(t, s, r)
		}
		for i := range 10 {
			wantStatus(t, send(fmt.Sprintf("192.0.2.1:%d", 1000+i), wrongGuess), 401)
		}
		time.Sleep(20*time.Second + time.Millisecond) //nolint:forbidigo // in a bubble
		eleventh := send("192.0.2.1:2000", wrongGuess)
		wantStatus(t, eleventh, 429)
		if wait := eleventh.header.Get("Retry-After"); wait != "40" {
			t.Errorf("Retry-After %q", wait)
		}
		wantStatus(t, send("192.0.2.1:2001", oldSecret), 202)
		wantStatus(t, send("192.0.2.1:2002", wrongGuess), 429)
		wantStatus(t, send("192.0.2.2:1000", wrongGuess), 401)
		wantStatus(t, send("@", wrongGuess), 401)

		time.Sleep(40 * time.Second) //nolint:forbidigo // in a bubble: a new window
		wantStatus(t, send("192.0.2.1:2003", wrongGuess), 401)
	})
}

// TestThrottleBySubnet: an IPv6 sender has 2^64 addresses of its own.
func TestThrottleBySubnet(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, config(), &memoryStore{})
	send := func(address string) reply {
		r := request(t, good)
		from(address)(r)
		key(wrongGuess)(r)
		return answer(t, s, r)
	}
	for i := range 10 {
		wantStatus(t, send(fmt.Sprintf("[2001:db8:0:1::%x]:1", i)), 401)
	}
	wantStatus(t, send("[2001:db8:0:1:ffff::1]:1"), 429)
	wantStatus(t, send("[2001:db8:0:2::1]:1"), 401)
}

// TestThrottleIsBounded: a sender with very many addresses does not fill the memory, and is throttled as a whole.
func TestThrottleIsBounded(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, config(), &memoryStore{})
	statuses := map[int]int{}
	for i := range 10_020 {
		r := request(t, good)
		from(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255))(r)
		key(wrongGuess)(r)
		statuses[answer(t, s, r).status]++
	}
	if statuses[401] != 10_010 || statuses[429] != 10 {
		t.Errorf("got %v", statuses)
	}
}
