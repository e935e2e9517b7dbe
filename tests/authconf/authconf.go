// Package authconf makes deploy/nats/auth.conf usable for the servers of tests.
//
// In: the text of the file. Out: the same with its examples, and with keys for all users.
package authconf

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
)

var (
	// example is the beginning of a line of an example.
	example = regexp.MustCompile(`(?m)^  # (  |\}|[A-Z]+ \{)`)
	// keyPlace is where the key of a user belongs.
	keyPlace = regexp.MustCompile(`\{nkey: ([A-Z0-9-]+)([},])`)
)

// WithExamples takes the marks of a comment off the examples.
func WithExamples(conf string) string { return example.ReplaceAllString(conf, "  $1") }

// WithKeys makes a key for each user. seeds are the files of the keys by user, in lower case.
func WithKeys(t testing.TB, conf string) (_ string, seeds map[string]string) {
	t.Helper()
	dir, seeds := t.TempDir(), map[string]string{}
	return keyPlace.ReplaceAllStringFunc(conf, func(place string) string {
		m := keyPlace.FindStringSubmatch(place)
		user := strings.ToLower(m[1])
		if seeds[user] != "" {
			t.Fatalf("auth.conf has the key of %s more than once", user)
		}
		key, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		public, err := key.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		seed, err := key.Seed()
		if err != nil {
			t.Fatal(err)
		}
		seeds[user] = filepath.Join(dir, user+".nk")
		if err := os.WriteFile(seeds[user], append(seed, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		return "{nkey: " + public + m[2]
	}), seeds
}
