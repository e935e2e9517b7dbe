package payload_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

type change struct {
	Name  payload.Optional[string]       `json:"name,omitzero"`
	Since payload.Optional[payload.Time] `json:"since,omitzero"`
	IDs   payload.Optional[[]string]     `json:"ids,omitzero"`
}

func TestOptional(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]change{
		`{}`:            {},
		`{"name":null}`: {Name: payload.Null[string]()},
		`{"name":""}`:   {Name: payload.Set("")},
		`{"name":"größe","since":"2026-08-31T22:00:00.000Z","ids":[]}`: {
			Name: payload.Set("größe"), Since: payload.Set(payload.Day(2026, time.September, 1)), IDs: payload.Set([]string{}),
		},
	} {
		got, err := json.Marshal(c)
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
		var back change
		if err := json.Unmarshal([]byte(want), &back); err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(back); err != nil || string(again) != want {
			t.Errorf("%s came back as %s, %v", want, again, err)
		}
	}
}

func TestOptionalMethods(t *testing.T) {
	t.Parallel()
	var absent payload.Optional[int]
	for name, tt := range map[string]struct {
		o        payload.Optional[int]
		text     string
		isSet    bool
		isNull   bool
		isZero   bool
		orTwelve int
	}{
		"absent": {absent, "absent", false, false, true, 12},
		"null":   {payload.Null[int](), "null", false, true, false, 12},
		"zero":   {payload.Set(0), "0", true, false, false, 0},
		"set":    {payload.Set(7), "7", true, false, false, 7},
	} {
		v, isSet := tt.o.Get()
		if tt.o.String() != tt.text || isSet != tt.isSet || tt.o.IsNull() != tt.isNull || tt.o.IsZero() != tt.isZero || tt.o.Or(12) != tt.orTwelve {
			t.Errorf("%s: got %v: %d, %t", name, tt.o, v, isSet)
		}
	}
}

func TestOptionalErrors(t *testing.T) {
	t.Parallel()
	if out, err := json.Marshal(change{IDs: payload.Set[[]string](nil)}); !contains(err, "use Null to say that") {
		t.Errorf("got %s, %v", out, err)
	}
	var c change
	if err := json.Unmarshal([]byte(`{"name":1}`), &c); err == nil || !c.Name.IsZero() {
		t.Errorf("got %v, %v", c.Name, err)
	}
	if err := json.Unmarshal([]byte(`{"since":"today"}`), &c); !contains(err, `"today" is no time`) {
		t.Errorf("got %v", err)
	}
}
