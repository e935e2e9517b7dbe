package config

import (
	"strings"
	"testing"
)

// TestBatch: without a setting each command has a call of its own, and a number that makes no sense is refused with the right ones.
func TestBatch(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{"": true, "0": true, "2": true, "100": true, "1": false, "101": false, "-1": false} {
		env := []string{EnvPrefix + "ROLES=egress", EnvPrefix + "CLOUDS_0_NAME=acme", EnvPrefix + "CLOUDS_0_API_KEY_VALUE=x"}
		if text != "" {
			env = append(env, EnvPrefix+"CLOUDS_0_BATCH_MAX="+text)
		}
		c, err := Default().load("", nil, env)
		const want = "is not between 2 and 100, or 0 for a call for each command"
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "clouds[0].batch.max") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
		if text == "" && err == nil && c.EgressConfig(c.Clouds[0]).Batch != 0 {
			t.Error("it is on by default")
		}
	}
}
