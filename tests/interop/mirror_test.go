package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// The lines for the nats command on the page about the mirror print what it says, beside a bridge that has the role by the line of that
// page.
func TestMirrorPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/mirror.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.NewReplacer("acme", cloud, "ACME", strings.ToUpper(cloud)).Replace(string(text))
	roles := regexp.MustCompile("(?m)^```yaml\n(roles: .*)\n```$").FindStringSubmatch(page)
	if roles == nil {
		t.Fatal("the page does not show the line with the roles")
	}
	s := startMirrorSite(t, roles[1])
	client := events.NewClient(s.js, cloud, events.WithDefaults(events.WithSource("urn:example:mirror-page")))
	created, err := client.Do(t.Context(), payload.CreateTask{Title: "Prüfung", TargetParentID: s.factro.Demo().Package})
	if err != nil {
		t.Fatal(err)
	}
	id, n := created.Resource.ID, 0
	rename := func() {
		n++
		title := fmt.Sprint("Prüfung ", n)
		if _, err := client.Do(t.Context(), payload.UpdateTask{TaskID: id, Title: payload.Set(title)}); err != nil {
			t.Fatal(err)
		}
	}
	for begin, want := range map[string]struct {
		meanwhile func()
		prints    []string
	}{
		"nats kv get ":   {nil, []string{`"id":"0f5ac7e0-0000-4000-8000-000000000080"`}},
		"nats kv watch ": {nil, []string{"PUT FACTRO_STATE_DEMO > demo.task." + id}},
		"nats sub ":      {rename, []string{"factro.change.demo.task." + id + ".updated", `"changed":["title"`}},
	} {
		lines := regexp.MustCompile(`(?m)^`+begin+`.*$`).FindAllString(page, -1)
		if len(lines) != 1 {
			t.Errorf("the page shows %q, want one line that begins with %q", lines, begin)
			continue
		}
		s.wantPrinted(t, lines[0], want.meanwhile, want.prints...)
	}
}

// startMirrorSite starts a site whose bridge has further lines of configuration.
func startMirrorSite(t *testing.T, more string) *site {
	t.Helper()
	s := &site{more: more}
	s.useNATS(t, natstest.Start(t))
	if _, err := s.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: change.Bucket(prefix, cloud)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: change.Stream(prefix, cloud), Subjects: []string{string(prefix) + ".change." + cloud + ".>"}, AllowDirect: true,
	}); err != nil {
		t.Fatal(err)
	}
	s.startBridge(t, s.startFactro(t))
	return s
}

// wantPrinted types a line, again if it has ended, until it has printed some texts. Meanwhile something happens again and again.
func (s *site) wantPrinted(t *testing.T, line string, meanwhile func(), want ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "printed")
	var running *exec.Cmd
	var ended chan error
	end := func() {
		if running != nil {
			_ = running.Process.Kill()
			<-ended
		}
	}
	t.Cleanup(end)
	printed := ""
	defer func() {
		if t.Failed() {
			t.Logf("%s printed:\n%s", line, printed)
		}
	}()
	waitFor(t, line+" prints "+strings.Join(want, " and "), func() bool {
		select {
		case <-ended:
			running = nil
		default:
		}
		if running == nil {
			running, ended = s.typed(t, line, file)
		}
		if meanwhile != nil {
			meanwhile()
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		printed = string(text)
		for _, w := range want {
			if !strings.Contains(printed, w) {
				return false
			}
		}
		return true
	})
}

// typed types a line into a shell, and has all that it prints added to a file.
func (s *site) typed(t *testing.T, line, file string) (cmd *exec.Cmd, ended chan error) {
	t.Helper()
	out, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd, _, _ = s.program(t, "sh", "-c", "exec "+line)
	cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(natsBinary))
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return cmd, ended
}
