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

// TestCloudMistakes: settings of a cloud's commands that make no sense are refused with their names, their values and what is right,
// and 0 stands for the default.
func TestCloudMistakes(t *testing.T) {
	t.Parallel()
	const (
		reserve = "is not a percentage between 1 and 50"
		onDead  = "is neither continue nor hold"
	)
	for _, tt := range []struct{ variable, value, setting, want string }{
		{"API_RESERVE", "0", "", ""},
		{"API_RESERVE", "1", "", ""},
		{"API_RESERVE", "50", "", ""},
		{"API_RESERVE", "-1", "clouds[0].api.reserve: -1", reserve},
		{"API_RESERVE", "51", "clouds[0].api.reserve: 51", reserve},
		{"API_CONCURRENCY", "0", "", ""},
		{"API_CONCURRENCY", "-1", "clouds[0].api.concurrency: -1", "is not between 1 and 256"},
		{"API_CONCURRENCY", "257", "clouds[0].api.concurrency: 257", "is not between 1 and 256"},
		{"API_CONCURRENCY", "2.5", EnvPrefix + "CLOUDS_0_API_CONCURRENCY", "whole number"},
		{"BATCH_MAX", "2.5", EnvPrefix + "CLOUDS_0_BATCH_MAX", "whole number"},
		{"ON_DEAD", "continue", "", ""},
		{"ON_DEAD", "hold", "", ""},
		{"ON_DEAD", "Hold", `clouds[0].on_dead: "Hold"`, onDead},
		{"ON_DEAD", "stop", `clouds[0].on_dead: "stop"`, onDead},
		{"ON_DEAD", strings.Repeat("x", 100), `clouds[0].on_dead: "` + strings.Repeat("x", 40) + `"`, onDead}, // cut
	} {
		_, err := Default().load("", nil, []string{
			EnvPrefix + "ROLES=egress", EnvPrefix + "CLOUDS_0_NAME=acme", EnvPrefix + "CLOUDS_0_API_KEY_VALUE=x",
			EnvPrefix + "CLOUDS_0_" + tt.variable + "=" + tt.value,
		})
		switch {
		case tt.want == "" && err != nil, tt.want != "" && err == nil:
			t.Errorf("%s=%s: %v", tt.variable, tt.value, err)
		case err != nil && (!strings.Contains(err.Error(), tt.setting) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s=%s: %v, want %q and %q", tt.variable, tt.value, err, tt.setting, tt.want)
		}
	}
}
