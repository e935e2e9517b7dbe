package field

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Files that others replace: what was good serves on, and one line says so.
func TestReplacedSecrets(t *testing.T) {
	t.Parallel()
	const next = "next-webhook-secret-77aa"
	s := open(t, setting{secrets: "[{file: $dir/secret}]", files: map[string]string{"secret": webhookSecret + "\n"}})
	with := func(secret string) int {
		return s.send(request{header: map[string][]string{"X-Bridge-Key": {secret}}}).status
	}
	for _, step := range []struct {
		name, text string // "-": the file is removed
		next       bool   // whether the next one is in force
	}{
		{"missing for a moment", "-", false},
		{"empty", "", false},
		{"in UTF-16", "\xff\xfe" + utf16(next, true), false},
		{"of several lines", next + "\nmore\n", false},
		{"replaced, with a byte order mark", "\xef\xbb\xbf" + next + "\r\n", true},
	} {
		t.Run(step.name, func(t *testing.T) {
			s.in(t)
			path := filepath.Join(s.dir, "secret")
			if step.text == "-" {
				must(t, os.Remove(path))
			} else {
				s.write("secret", step.text)
			}
			if step.next {
				s.await("the next secret", func() bool { return with(next) == http.StatusAccepted })
				s.await("the old one is over", func() bool { return with(webhookSecret) == http.StatusUnauthorized })
				return
			}
			for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) { //nolint:forbidigo // for longer than files are believed unread
				if got := with(webhookSecret); got != http.StatusAccepted {
					t.Fatalf("%d with the last good secret", got)
				}
			}
		})
	}
	for _, words := range []string{"a file cannot be used", "a file can be used again"} {
		if n := s.lines(words, "webhook_secret"); n != 1 {
			t.Errorf("%q is logged %d times, want once for all that became of the file", words, n)
		}
	}
}

// The key of the Core API is gone for a moment, while commands come.
func TestReplacedKey(t *testing.T) {
	t.Parallel()
	s := open(t, setting{key: "{file: $dir/key}", files: map[string]string{"key": apiKey + "\n"}})
	s.roundTrip()
	for name, text := range map[string]string{"missing": "-", "empty": "", "in UTF-16": "\xff\xfe" + utf16(apiKey, true)} {
		t.Run(name, func(t *testing.T) {
			s.in(t)
			if text == "-" {
				must(t, os.Remove(filepath.Join(s.dir, "key")))
			} else {
				s.write("key", text)
			}
			time.Sleep(2 * time.Second) //nolint:forbidigo // for longer than the file is believed unread
			if r := s.result(s.create(uuid.NewString())); r.outcome != "applied" {
				t.Errorf("%s: %s", r.outcome, r.data)
			}
		})
	}
}

// A password of NATS that is replaced is used at the next connection.
func TestReplacedPassword(t *testing.T) {
	t.Parallel()
	files := natsFiles(t)
	s := prepareOur(t, setting{
		nats: "authorization: {user: bridge, password: right-password}", broker: "user_file: $dir/user, password_file: $dir/password", files: files,
	})
	s.start()
	s.await("the bridge is ready", func() bool { status, _ := s.get("/readyz"); return status == http.StatusOK })
	s.nats.Kill()
	s.write("password", "another-password\n")
	s.set.nats = strings.Replace(s.set.nats, "right-password", "another-password", 1)
	s.startNATS()
	s.await("the bridge is ready with the new password", func() bool {
		status, _ := s.get("/readyz")
		return status == http.StatusOK && s.send(request{}).status == http.StatusAccepted
	})
}

// Telemetry is never the reason why the bridge does not run, or does not end.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env  []string
		said string // in a line of the log at WARN
	}{
		"an unknown sampler":             {[]string{"OTEL_TRACES_SAMPLER=sometimes"}, "unsupported sampler"},
		"a ratio that is none":           {[]string{"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=half"}, "sampler argument"},
		"an unknown exporter":            {[]string{"OTEL_TRACES_EXPORTER=zipkin"}, "OTEL_TRACES_EXPORTER"},
		"an unknown protocol":            {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=smoke"}, "protocol"},
		"an endpoint that is none":       {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=://nowhere"}, "OTEL_EXPORTER_OTLP"},
		"attributes that are none":       {[]string{"OTEL_RESOURCE_ATTRIBUTES=a,b==,%zz=1"}, "OTEL_RESOURCE_ATTRIBUTES"},
		"a queue of less than nothing":   {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_BSP_MAX_QUEUE_SIZE=-1"}, "OTEL_BSP_MAX_QUEUE_SIZE"},
		"headers that are none":          {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_HEADERS=Authorization: Bearer geheim=="}, "invalid header key"},
		"disabled, in capitals":          {[]string{"OTEL_SDK_DISABLED=TRUE", "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"}, ""},
		"a list of exporters":            {[]string{"OTEL_TRACES_EXPORTER=otlp,console", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"}, ""},
		"none":                           {[]string{"OTEL_TRACES_EXPORTER=none", "OTEL_METRICS_EXPORTER=none"}, ""},
		"a collector that refuses":       {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_METRICS_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"}, ""},
		"a collector that hangs":         {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_METRICS_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=http://$hangs"}, ""},
		"a collector of gRPC that hangs": {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_ENDPOINT=http://$hangs"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hangs := deaf(t)
			for i := range tt.env {
				tt.env[i] = strings.Replace(tt.env[i], "$hangs", hangs, 1)
			}
			s := open(t, setting{env: append(tt.env, "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_METRIC_EXPORT_INTERVAL=100")})
			s.roundTrip()
			if tt.said != "" {
				s.logs(`"level":"WARN"`, tt.said)
			}
			for line := range strings.Lines(s.bridge.Log()) {
				if !strings.HasPrefix(line, "{") {
					t.Errorf("a line of the log is not JSON: %s", line)
					break
				}
			}
			if strings.Contains(s.bridge.Log(), "geheim") {
				t.Error("the log has what stands in a header")
			}
			took, err := s.bridge.Terminate(20 * time.Second)
			if err != nil || took > 8*time.Second {
				t.Errorf("it ends after %s: %v", took, err)
			}
		})
	}
}
