package topology

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// The facts use JetStream's own words.
func TestStreamFactsAreJetStreamsWords(t *testing.T) {
	t.Parallel()
	word := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Trim(string(text), `"`)
	}
	facts := StreamsOf("acme", "x")
	for i, c := range []Stream{
		Of(Events, "acme", "x"),
		Of(Commands, "acme", "x"),
		Of(Results, "acme", "x"),
		Of(Dead, "acme", "x"),
		Of(Advisories, "acme", "x"),
		Of(Delayed, "acme", "x"),
		Of(Bridge, "acme", "x"),
		Of(Changes, "acme", "x"),
	} {
		f := facts[i]
		if f.Name != c.Name || f.Retention != word(c.Retention) || f.Discard != word(c.Discard) || f.Storage != word(c.Storage) {
			t.Errorf("%+v is said of a stream %s: %s, %s, %s", f, c.Name, word(c.Retention), word(c.Discard), word(c.Storage))
		}
		if f.MaxAge != c.MaxAge || f.MaxMessages != c.MaxMsgs || f.Duplicates != c.Duplicates || !slices.Equal(f.Subjects, c.Subjects) {
			t.Errorf("%+v is said of a stream %+v", f, c)
		}
	}
	if len(facts) != 8 || facts[1].Retention != "workqueue" || facts[1].MaxMessages == 0 {
		t.Errorf("the facts are %+v", facts)
	}
}

// TestKindsAreComplete: each kind has a name of its own, a size that is at least the least, and a stream or a bucket.
func TestKindsAreComplete(t *testing.T) {
	t.Parallel()
	made := map[Kind]bool{Reconcile: true, Originals: true, Control: true}
	for _, s := range All("factro", "acme") {
		made[s.Kind] = true
	}
	for _, b := range (Plan{Prefix: "factro"}).Exchange("acme") {
		made[b.Kind] = true
	}
	made[Plan{Prefix: "factro"}.Keys("acme").Kind] = true
	for _, s := range (Plan{Prefix: "factro"}).Mirror("acme") {
		made[s.Kind] = true
	}
	names := map[string]bool{}
	for k := Events; k <= Reconcile; k++ {
		switch {
		case k.Name() == "" || names[k.Name()]:
			t.Errorf("kind %d has the name %q", k, k.Name())
		case k.Least() < 1<<20 || k.Size(Sizes{}) < k.Least():
			t.Errorf("%s wants %d bytes and needs %d", k.Name(), k.Size(Sizes{}), k.Least())
		case k.Setting() != "" && k.Setting() != "nats.max_bytes."+k.Name():
			t.Errorf("%s is set by %s", k.Name(), k.Setting())
		case !made[k]:
			t.Errorf("nothing is made of %s", k.Name())
		}
		names[k.Name()] = true
	}
}
