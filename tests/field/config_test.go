package field

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What cannot work is said by "config check", and nothing that it says is a secret.
func TestConfigCheck(t *testing.T) {
	t.Parallel()
	const leak = "tr0ub4dor"
	for name, tt := range map[string]struct {
		set   setting
		edit  [2]string // a part of the configuration, and what stands in its place
		code  int
		texts []string // that the output has
	}{
		"all is well":                            {code: 0},
		"a port without a colon":                 {edit: [2]string{`http: {listen: "127.0.0.1:0"`, `http: {listen: "8080"`}, code: 1, texts: []string{"http.listen", ":8080"}},
		"a port that is a number":                {edit: [2]string{`http: {listen: "127.0.0.1:0"`, `http: {listen: 8080`}, code: 1, texts: []string{"http.listen", ":8080"}},
		"a port out of range":                    {edit: [2]string{`admin: {listen: "127.0.0.1:0"`, `admin: {listen: "127.0.0.1:99999"`}, code: 1, texts: []string{"admin.listen", "99999"}},
		"a header with an underscore":            {edit: [2]string{"header: X-Bridge-Key", "header: X_Bridge_Key"}, code: 0, texts: []string{"X_Bridge_Key", "_"}},
		"a header with a dot":                    {edit: [2]string{"header: X-Bridge-Key", "header: X.Bridge.Key"}, code: 0, texts: []string{"X.Bridge.Key"}},
		"a header with a blank":                  {edit: [2]string{"header: X-Bridge-Key", `header: "X Bridge Key"`}, code: 1, texts: []string{"header"}},
		"a secret file with a byte order mark":   {set: secretFile("\xef\xbb\xbfsecret-of-sixteen-bytes\r\n"), code: 0},
		"a secret file in UTF-16":                {set: secretFile("\xff\xfe" + utf16("secret-of-sixteen-bytes", true)), code: 1, texts: []string{"UTF-16"}},
		"a secret file of several lines":         {set: secretFile("secret-of-sixteen-bytes\nand another line\n"), code: 1, texts: []string{"line"}},
		"a secret file with an umlaut":           {set: secretFile("geheimnis-mit-ümläuten"), code: 1, texts: []string{"ASCII"}},
		"a secret file with a control character": {set: secretFile("secret-of-\x07-sixteen-bytes"), code: 1, texts: []string{"control"}},
		"an empty secret file":                   {set: secretFile("\n"), code: 1, texts: []string{"empty"}},
		"a secret file that is missing":          {set: setting{secrets: "[{file: $dir/secret}]"}, code: 0, texts: []string{"warning", "secret"}},
		"a key file with a byte order mark":      {set: setting{key: "{file: $dir/key}", files: map[string]string{"key": "\xef\xbb\xbf" + apiKey + "\n"}}, code: 0},
		"a key file in UTF-16":                   {set: setting{key: "{file: $dir/key}", files: map[string]string{"key": "\xff\xfe" + utf16(apiKey, true)}}, code: 1, texts: []string{"UTF-16"}},
		"a password that needs encoding":         {set: setting{natsURL: "nats://bridge:" + leak + "#%zz@127.0.0.1:4222"}, code: 1, texts: []string{"nats.url", "percent"}},
		"a password with a comma":                {set: setting{natsURL: "nats://bridge:" + leak + "," + leak + "@127.0.0.1:4222"}, code: 1, texts: []string{"nats.url"}},
		"a password with a slash":                {set: setting{natsURL: "nats://bridge:" + leak + "/" + leak + "@127.0.0.1:4222"}, code: 1, texts: []string{"nats.url"}},
		"a NATS port out of range":               {set: setting{natsURL: "nats://bridge:" + leak + "@127.0.0.1:123456"}, code: 1, texts: []string{"nats.url"}},
		"an address of another kind":             {set: setting{natsURL: "http://bridge:" + leak + "@127.0.0.1:4222"}, code: 1, texts: []string{"nats.url", "nats://"}},
		"an address with a query":                {set: setting{natsURL: "nats://bridge:" + leak + "@127.0.0.1:4222?tls=true"}, code: 1, texts: []string{"nats.url", "tls://"}},
		"a websocket beside others":              {set: setting{natsURL: "ws://127.0.0.1:80,nats://127.0.0.1:4222"}, code: 1, texts: []string{"nats.url", "mixed"}},
		"a user beside a credentials file":       {set: setting{natsURL: "nats://bridge:" + leak + "@127.0.0.1:4222", broker: "creds_file: $dir/creds"}, code: 1, texts: []string{"creds_file", "nats.url"}},
		"a second document":                      {edit: [2]string{"clouds:", "---\nclouds:"}, code: 1, texts: []string{"one document"}},
		"a number that is none":                  {set: setting{env: []string{"FACTRO_BRIDGE_NATS_REPLICAS=" + leak}}, code: 1, texts: []string{"FACTRO_BRIDGE_NATS_REPLICAS", "whole number"}},
		"a variable that is no setting":          {set: setting{env: []string{"FACTRO_BRIDGE_NATS_URI=nats://bridge:" + leak + "@h"}}, code: 0, texts: []string{"warning", "FACTRO_BRIDGE_NATS_URI"}},
		"a body larger than NATS takes":          {set: setting{http: "max_body: 64MiB"}, code: 0, texts: []string{"max_body"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.set.nats = "-"
			s := prepare(t, tt.set)
			path := s.config()
			if tt.edit[0] != "" {
				text, err := os.ReadFile(path)
				must(t, err)
				if !strings.Contains(string(text), tt.edit[0]) {
					t.Fatalf("the configuration lacks %q", tt.edit[0])
				}
				s.write(filepath.Base(path), strings.Replace(string(text), tt.edit[0], tt.edit[1], 1))
			}
			code, out := s.run("config", "check", path)
			if min(code, 1) != tt.code {
				t.Errorf("exit code %d, want %d:\n%s", code, tt.code, out)
			}
			for _, text := range tt.texts {
				if !strings.Contains(out, text) {
					t.Errorf("the output lacks %q:\n%s", text, out)
				}
			}
			for _, never := range []string{leak, webhookSecret, apiKey, "geheimnis", "secret-of-sixteen"} {
				if strings.Contains(out, never) {
					t.Errorf("the output has a secret:\n%s", out)
				}
			}
		})
	}
}

func secretFile(text string) setting {
	return setting{secrets: "[{file: $dir/secret}]", files: map[string]string{"secret": text}}
}

// No command prints a password of an address, whatever is wrong with it.
func TestNoCommandPrintsPasswords(t *testing.T) {
	t.Parallel()
	s := prepare(t, setting{nats: "-"})
	const leak = "tr0ub4dor"
	for _, url := range []string{
		"nats://bridge:" + leak + "," + leak + "@127.0.0.1:1", "nats://bridge:" + leak + "#" + leak + "@127.0.0.1:1", "nats://bridge:%zz" + leak + "@127.0.0.1:1",
		"nats://bridge:" + leak + "@127.0.0.1:1", "nats://" + leak + "@127.0.0.1:1", leak + "@127.0.0.1:x",
	} {
		for _, args := range [][]string{
			{"send", "createTask", "title=x", "targetParentId=y", "--cloud", acme, "--wait", "--timeout", "1s"},
			{"tail", "results", "--cloud", acme},
			{"dead", "list", "--cloud", acme},
			{"query", "getTask", "taskId=x", "--cloud", acme, "--timeout", "1s"},
		} {
			code, out := s.run(append(args, "--nats", url)...)
			if code == 0 || strings.Contains(out, leak) {
				t.Errorf("bridge %s with %s: exit code %d:\n%s", args[0], url, code, out)
			}
		}
	}
}
