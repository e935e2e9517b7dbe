package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// run runs a command and returns what it printed.
func run(t *testing.T, url, stdin string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := New()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.SetErr(&bytes.Buffer{})
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetArgs(append(args, "--nats", url, "--cloud", "acme"))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func code(err error) int {
	if err == nil {
		return exit.OK
	}
	if e, ok := errors.AsType[*exit.Error](err); ok {
		return e.Code
	}
	return exit.Failure
}

func TestKeys(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	bustest.Running(t, server)
	natstest.Eventually(t, "the bucket is there", func() bool {
		_, err := bustest.Dial(t, server).JetStream().KeyValue(t.Context(), "FACTRO_KEYS_ACME")
		return err == nil
	})
	for _, step := range []struct {
		name, stdin string
		args        []string
		want        string
		code        int
	}{
		{name: "none", args: []string{"list"}, want: "there are no external keys\n"},
		{name: "set", args: []string{"set", "JIRA-17", "t-1", "--resource", "task"}, want: "task JIRA-17 set\n"},
		{name: "again", args: []string{"set", "JIRA-17", "t-1", "--resource", "task"}, want: "task JIRA-17 was set already\n"},
		{name: "taken", args: []string{"set", "JIRA-17", "t-2", "--resource", "task"}, want: "", code: exit.Failure},
		{name: "no resource", args: []string{"set", "JIRA-17", "t-2"}, code: exit.WrongUsage},
		{name: "wrong resource", args: []string{"list", "--resource", "tusk"}, code: exit.WrongUsage},
		{name: "wrong id", args: []string{"set", "JIRA-18", "a/b", "--resource", "task"}, code: exit.WrongUsage},
		{
			name: "dry run", args: []string{"import", "-", "--resource", "task", "--dry-run"}, stdin: "JIRA-17,t-1\nJIRA-18,t-2\n",
			want: "1 would be set, 1 set already, 0 conflicts\n",
		},
		{name: "import", args: []string{"import", "-", "--resource", "task"}, stdin: "JIRA-17,t-1\nJIRA-18,t-2\n", want: "1 set, 1 set already, 0 conflicts\n"},
		{
			name: "conflicts", args: []string{"import", "-"}, code: exit.Failure, stdin: "\ufeffid,resource,ExternalKey\nt-9,task,JIRA-17\nt-2,task,JIRA-19\nu-1,user,\"Ä, B\"\n",
			want: "line 2: JIRA-17: the key is that of the task t-1: taken\nline 3: JIRA-19: the task t-2 has the external key \"JIRA-18\": taken\n1 set, 0 set already, 2 conflicts\n",
		},
		{name: "forget", args: []string{"forget", "JIRA-18", "--resource", "task"}, want: "task JIRA-18 free\n"},
		{name: "forget again", args: []string{"forget", "JIRA-18", "--resource", "task", "--json"}, want: `{"cloud":"acme","resource":"task","externalkey":"JIRA-18","changed":false}` + "\n"},
	} {
		out, err := run(t, server.URL(), step.stdin, step.args...)
		if code(err) != step.code || out != step.want {
			t.Errorf("%s: code %d, %v:\n%s\nwant %d:\n%s", step.name, code(err), err, out, step.code, step.want)
		}
	}
	out, err := run(t, server.URL(), "", "list")
	if lines := strings.Split(out, "\n"); err != nil || len(lines) != 4 || !strings.HasPrefix(lines[0], "RESOURCE") || !strings.Contains(lines[1], "JIRA-17") {
		t.Errorf("the list is\n%s%v", out, err)
	}
	out, err = run(t, server.URL(), "", "list", "--resource", "user", "--json")
	var r row
	if err := errors.Join(err, json.Unmarshal([]byte(out), &r)); err != nil || r.Key != "Ä, B" || r.ID != "u-1" || r.Resource != "user" {
		t.Errorf("the list is %s, %v", out, err)
	}
}

// TestBadFiles: a file with mistakes is refused as a whole, each mistake with its line.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ resource, file, want string }{
		{"task", "a,t-1\n,t-2\nb\nc,x y\n", `line 2: an empty external key, want 1 to 512 bytes; line 3: 1 column, want 2: externalkey, id and, without --resource, resource; line 4: "x y" is no id: it has a blank or a slash`},
		{"", "a,t-1\n", "line 1: 2 columns, want 3"},
		{"", "a,t-1,tusk\n", `line 1: "tusk" is no resource (did you mean task?)`},
		{"", "externalkey,id\na,t-1\n", "line 1: there is no column resource; add it, or use --resource"},
		{"task", "externalkey,name\n", `line 1: column "name" is not known`},
		{"task", "externalkey,id,id\n", `line 1: column "id" is there twice`},
		{"task", "id,externalkey,resource\nt-1,a,user\n", `line 2: the resource is "user", and --resource says "task"`},
		{"task", "a,t-1\n\na,t-2\nb,t-1\n", `line 3: the key "a" has another id in line 1; line 4: the id t-1 has another key in line 1`},
		{"task", "a,\"t-1\nb,t-2\n", `parse error on line`},
	} {
		f := keyFlags{resource: tt.resource}
		_, wrong := f.read(strings.NewReader(tt.file))
		var have []string
		for _, err := range wrong {
			have = append(have, err.Error())
		}
		if got := strings.Join(have, "; "); !strings.Contains(got, tt.want) {
			t.Errorf("%q: the mistakes are %s, want %s", tt.file, got, tt.want)
		}
	}
	name := filepath.Join(t.TempDir(), "keys.csv")
	if err := os.WriteFile(name, []byte(strings.Repeat(",t\n", 30)), 0o600); err != nil {
		t.Fatal(err)
	}
	f := keyFlags{resource: "task"}
	if _, err := f.readFile(nil, name); code(err) != exit.WrongUsage || !strings.Contains(err.Error(), "and 10 more mistakes") {
		t.Errorf("the error is %v", err)
	}
}

// TestNoBucket: the error says what is missing.
func TestNoBucket(t *testing.T) {
	t.Parallel()
	_, err := run(t, natstest.Start(t).URL(), "", "list")
	if err == nil || !strings.Contains(err.Error(), "a bridge with nats.manage: true makes it") {
		t.Errorf("the error is %v", err)
	}
}
