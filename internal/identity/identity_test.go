package identity_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/identity"
)

func TestCommandDigest(t *testing.T) {
	t.Parallel()
	digest := identity.CommandDigest([]byte(`{"taskId":"1","title":"Prüfung <b>","plannedEffort":1.0}`))
	for data, same := range map[string]bool{
		"{ \"title\":\"Pr\\u00fcfung \\u003cb>\",\n\"plannedEffort\":1.0, \"taskId\":\"1\" }": true,
		`{"taskId":"1","title":"Prüfung <b>","plannedEffort":1}`:                              false,
		`{"taskId":"2","title":"Prüfung <b>","plannedEffort":1.0}`:                            false,
		`{"taskId":"1","title":"Prüfung <b>"}`:                                                false,
	} {
		if got := identity.CommandDigest([]byte(data)); (got == digest) != same {
			t.Errorf("%s has %s, the other %s", data, got, digest)
		}
	}
	// Programs in other languages compute it, too, so it stays what it is.
	sum := sha256.Sum256([]byte(`{"10":1e21,"9":[1.50,true,null],"a":"ü/<&>\"\\\b\f\n\r\t\u0007\u2028\u2029` + "\x7f" + `😀","￮":{},"😀":{}}`))
	whole := `{ "😀": {}, "￮": {}, "a": "\u00fc\/\u003c&>\u0022\u005C\u0008\u000C\u000a\u000d\u0009\u0007\u2028` + " " + `\u007f\ud83d\ude00",
		"9": [1.50, true, null], "10": 1e21 }`
	if got, want := identity.CommandDigest([]byte(whole)), "sha256:"+hex.EncodeToString(sum[:]); got != want {
		t.Errorf("%s has %s, want %s", whole, got, want)
	}
	if a, b := identity.CommandDigest(nil), identity.CommandDigest([]byte(" {} ")); a != b || a == "" {
		t.Errorf("no data has %q, {} has %q", a, b)
	}
	if got := identity.CommandDigest([]byte(`{"a":`)); got != "" {
		t.Errorf("no JSON has %s", got)
	}
}
