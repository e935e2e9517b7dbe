package secret_test

import (
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

func TestAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"nats://127.0.0.1:4222":                                  "nats://127.0.0.1:4222",
		"127.0.0.1:4222,[::1]:4222, b":                           "127.0.0.1:4222,[::1]:4222, b",
		"https://cloud.factro.com/api/core":                      "https://cloud.factro.com/api/core",
		"https://cloud.factro.com/api/core?key=geheim#geheim":    "https://cloud.factro.com/api/core",
		"nats://m:geheim@h:1":                                    "nats://[hidden]@h:1",
		"nats://geheim@h:1":                                      "nats://[hidden]@h:1",
		"m:geheim@h:1":                                           "[hidden]@h:1",
		"nats://m:ge,heim@h:1":                                   "nats://[hidden]@h:1",
		"nats://m:ge@heim@h:1":                                   "nats://[hidden]@h:1",
		"nats://m:ge%heim@h:1":                                   "nats://[hidden]@h:1",
		"nats://m:ge/heim?geheim#geheim@h:1":                     "nats://[hidden]@h:1",
		"nats://m:ge heim@h:1":                                   "nats://[hidden]@h:1",
		"nats://a:1, tls://m:geheim@b:2,c:3":                     "nats://a:1, tls://[hidden]@b:2,c:3",
		"nats://m:geheim@a:1,nats://m:ge,h@eim@b:2,nats://c:3?x": "nats://[hidden]@b:2,nats://c:3",
		"nats://geheim:1,2@h:1":                                  "nats://[hidden]@h:1",
		"nats://geheim:1/2@h:1":                                  "nats://[hidden]@h:1",
		"a:1,m:geheim@b:2":                                       "[hidden]@b:2",
		"nats://m:geheim":                                        "nats://[hidden]", // the host is forgotten, or the port is none
		"nats://m:geheim,nats://b:1":                             "nats://[hidden],nats://b:1",
		"https://m:geheim@h/x?geheim=geheim":                     "https://[hidden]@h/x",
		"urn:geheim":                                             "[hidden]",
		"":                                                       "",
	} {
		if got := secret.Address(text); got != want || strings.Contains(got, "heim") {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestScrub(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`parse "http://m:ge heim@h:1": bad`: `parse "http://[hidden]@h:1": bad`,
		"Post \"https://m:ge@heim@h\"\nx":   "Post \"https://[hidden]@h\"\nx",
		"nothing to hide":                   "nothing to hide",
	} {
		if got := secret.Scrub(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestCheckPort(t *testing.T) {
	t.Parallel()
	for host, good := range map[string]bool{
		"h": true, "h:1": true, "[::1]": true, "[::1]:65535": true, "": true,
		"h:0": false, "h:65536": false, "h:99999": false, "h:-1": false, "h:x": false, "h:": false, "[::1]:0": false,
	} {
		if err := secret.CheckPort(host); (err == nil) != good {
			t.Errorf("%s: %v", host, err)
		}
	}
}
