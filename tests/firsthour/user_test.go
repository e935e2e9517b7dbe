package firsthour

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/tests/freeport"
	"github.com/factro-bridge/factro-bridge/tests/poll"
	"github.com/factro-bridge/factro-bridge/tests/process"
)

const (
	secret = "a-webhook-secret-of-32-characters"
	apiKey = "an-api-key-of-factro"

	exampleTask    = factro.ExampleTask
	examplePackage = factro.ExamplePackage
)

// user is a new user: a folder with the program in it, and the addresses that the user chose.
type user struct {
	t    testing.TB
	dir  string
	env  []string // of every process
	log  string   // commands and their output
	nats *process.Process
	core *process.Process // factro

	natsPort, webhookPort, adminPort, factroPort int
}

// newUser makes a user. Nothing runs yet.
func newUser(t *testing.T) *user {
	t.Helper()
	if !*asked {
		t.Skip("the rows run with -firsthour")
	}
	d := &user{t: t, dir: t.TempDir()}
	for _, port := range []*int{&d.natsPort, &d.webhookPort, &d.adminPort, &d.factroPort} {
		var err error
		*port, err = freeport.New()
		must(t, err)
	}
	must(t, os.MkdirAll(filepath.Join(d.dir, "bin"), 0o700))
	path, err := filepath.Abs(*binary)
	must(t, err)
	must(t, os.Symlink(path, filepath.Join(d.dir, "bin", "bridge")))
	d.env = []string{"PATH=" + filepath.Join(d.dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + d.dir, "TMPDIR=" + d.dir, "TZ=UTC"}
	t.Cleanup(func() {
		d.core.Kill()
		d.nats.Kill()
		if *transcripts != "" {
			d.keep(filepath.Join(*transcripts, strings.ReplaceAll(t.Name(), "/", "-")+".txt"))
		}
	})
	return d
}

// keep writes the transcript, with the same addresses and folder each time.
func (d *user) keep(path string) {
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(d.plain(d.log)), 0o644)); err != nil {
		d.t.Error(err)
	}
}

// plain has usual addresses in place of those that the row was given.
func (d *user) plain(text string) string {
	for port, usual := range map[int]string{d.natsPort: "4222", d.webhookPort: "8080", d.adminPort: "9090", d.factroPort: "8081"} {
		text = strings.ReplaceAll(text, fmt.Sprintf(":%d", port), ":"+usual)
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, d.dir+"/", ""), d.dir, ".")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write creates a file in the user's folder.
func (d *user) write(name, text string) {
	d.t.Helper()
	must(d.t, os.MkdirAll(filepath.Dir(filepath.Join(d.dir, name)), 0o700))
	must(d.t, os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600))
}

func (d *user) read(name string) string {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, name))
	must(d.t, err)
	return string(text)
}

// said is how a command ended and what it printed.
type said struct {
	d        *user
	line     string
	code     int
	out, err string
}

// types runs a line of the shell to its end. $task and $package are ids that factro knows, $nats, $webhooks, $admin and $factro are the
// user's addresses.
func (d *user) types(line string) *said {
	d.t.Helper()
	at := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	s := &said{d: d, line: strings.NewReplacer("$task", exampleTask, "$package", examplePackage, "$nats", at(d.natsPort),
		"$webhooks", at(d.webhookPort), "$admin", at(d.adminPort), "$factro", at(d.factroPort)).Replace(line)}
	ctx, cancel := context.WithTimeout(d.t.Context(), *patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", s.line)
	cmd.Dir, cmd.Env = d.dir, d.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that what bash started ends, too
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		d.t.Fatalf("%s: %v", s.line, err)
	}
	s.code, s.out, s.err = cmd.ProcessState.ExitCode(), out.String(), problems.String()
	d.log += fmt.Sprintf("$ %s\n%s%s", s.line, s.err, s.out)
	if ctx.Err() != nil {
		d.log += "(nothing more; ended by force)\n"
		d.t.Errorf("%s does not end:\n%s%s", s.line, s.out, s.err)
	} else if s.code != 0 {
		d.log += fmt.Sprintf("(exit code %d)\n", s.code)
	}
	return s
}

// exits has the command end with an exit code.
func (s *said) exits(code int) *said {
	s.d.t.Helper()
	if s.code != code {
		s.d.t.Errorf("%s\nexit code %d, want %d:\n%s%s", s.line, s.code, code, s.out, s.err)
	}
	return s
}

// says has the command print all of these.
func (s *said) says(texts ...string) *said {
	s.d.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.out+s.err, text) {
			s.d.t.Errorf("%s\nlacks %q:\n%s%s", s.line, text, s.out, s.err)
		}
	}
	return s
}

// never has the command print none of these.
func (s *said) never(texts ...string) *said {
	s.d.t.Helper()
	for _, text := range texts {
		if strings.Contains(s.out+s.err, text) {
			s.d.t.Errorf("%s\nsays %q:\n%s%s", s.line, text, s.out, s.err)
		}
	}
	return s
}

// matches has what the command prints fit a regular expression, in which lines begin and end.
func (s *said) matches(expression string) *said {
	s.d.t.Helper()
	if !regexp.MustCompile("(?m)" + expression).MatchString(s.out + s.err) {
		s.d.t.Errorf("%s\nhas nothing like %s:\n%s%s", s.line, expression, s.out, s.err)
	}
	return s
}

// json has the output be JSON, and reads it.
func (s *said) json(into any) {
	s.d.t.Helper()
	dec := json.NewDecoder(strings.NewReader(s.out))
	if err := dec.Decode(into); err != nil {
		s.d.t.Errorf("%s\nprints no JSON, %v:\n%s", s.line, err, s.out)
	}
}

// configured writes bridge.yaml from the sample, as somebody with the user's addresses. edits are pairs of what stands in it
// and what is to.
func (d *user) configured(edits ...string) {
	d.t.Helper()
	d.types("bridge config sample > bridge.yaml").exits(0)
	d.edit(append([]string{
		`listen: ":8080"`, fmt.Sprintf(`listen: "127.0.0.1:%d"`, d.webhookPort),
		`listen: "127.0.0.1:9090"`, fmt.Sprintf(`listen: "127.0.0.1:%d"`, d.adminPort),
		`url: nats://127.0.0.1:4222`, fmt.Sprintf(`url: nats://127.0.0.1:%d`, d.natsPort),
		`url: https://cloud.factro.com/`, fmt.Sprintf(`url: http://127.0.0.1:%d/`, d.factroPort),
	}, edits...)...)
	d.replace(`\{file: [^}]*/acme-webhook\}`, "{file: secrets/acme-webhook}")
	d.replace(`\{file: [^}]*/acme-api-key\}`, "{file: secrets/acme-api-key}")
}

// edit changes bridge.yaml: each first one of the pairs, which has to be there, into the second.
func (d *user) edit(edits ...string) {
	d.t.Helper()
	text := d.read("bridge.yaml")
	for pair := range slices.Chunk(edits, 2) {
		if !strings.Contains(text, pair[0]) {
			d.t.Fatalf("bridge.yaml has no %q", pair[0])
		}
		text = strings.Replace(text, pair[0], pair[1], 1)
	}
	d.write("bridge.yaml", text)
}

func (d *user) replace(expression, by string) {
	d.t.Helper()
	d.write("bridge.yaml", regexp.MustCompile(expression).ReplaceAllLiteralString(d.read("bridge.yaml"), by))
}

// secrets makes the two files that the configuration names.
func (d *user) secrets() {
	d.write("secrets/acme-webhook", secret+"\n")
	d.write("secrets/acme-api-key", apiKey+"\n")
}

// serve starts NATS at the user's address. more are further lines of its configuration.
func (d *user) serve(more ...string) {
	d.t.Helper()
	var err error
	d.nats, _, err = process.NATS(process.Options{Name: "nats", Dir: d.dir}, fmt.Sprintf("listen: \"127.0.0.1:%d\"\njetstream: {store_dir: %q}\n%s\n",
		d.natsPort, filepath.Join(d.dir, "nats"), strings.Join(more, "\n")))
	must(d.t, err)
}

// factro starts the simulator at the user's address.
func (d *user) factro() {
	d.t.Helper()
	d.write("key-of-factro", apiKey)
	var err error
	d.core, err = process.Start(process.Options{Name: "factro", Dir: d.dir, Up: func(line []byte) bool { return bytes.Contains(line, []byte("/_sim/")) }},
		*binary, "sim", "--listen", fmt.Sprintf("127.0.0.1:%d", d.factroPort), "--key", "@"+filepath.Join(d.dir, "key-of-factro"))
	must(d.t, err)
}

// running is "bridge run" in the user's folder.
type running struct {
	d *user
	*process.Process
	seen int // how much of the log was looked at
}

// runs starts the bridge with bridge.yaml and waits until it says that it is up.
func (d *user) runs() *running {
	d.t.Helper()
	p, err := process.Start(process.Options{
		Name: "bridge", Dir: d.dir, Env: d.env, Never: [][]byte{[]byte(secret), []byte(apiKey), []byte("panic:")},
		Up: func(line []byte) bool { return bytes.Contains(line, []byte("bridge started")) },
	}, "bash", "-c", "cd "+d.dir+" && exec bridge run --config bridge.yaml")
	d.log += "$ bridge run --config bridge.yaml\n"
	must(d.t, err)
	r := &running{d: d, Process: p}
	d.t.Cleanup(func() {
		r.Kill()
		r.note()
		if leaked := r.Leaked(); len(leaked) > 0 {
			d.t.Errorf("the log has what no log may have:\n%s", strings.Join(leaked, "\n"))
		}
	})
	return r
}

// note puts into the transcript what the bridge has logged since it was last looked at.
func (r *running) note() {
	log := r.Log()
	r.d.log += log[r.seen:]
	r.seen = len(log)
}

// logs waits until a line of the log has all of the texts.
func (r *running) logs(texts ...string) {
	r.d.t.Helper()
	r.d.await(fmt.Sprintf("a line of the log with %q", texts), func() bool { return r.times(texts...) > 0 })
	r.note()
}

// times counts the lines of the log that have all of the texts.
func (r *running) times(texts ...string) (n int) {
	for line := range strings.Lines(r.Log()) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			n++
		}
	}
	return n
}

// await polls until ok, and goes on with an error when the row's patience is over.
func (d *user) await(what string, ok func() bool) {
	d.t.Helper()
	if !poll.Within(*patience, ok) {
		d.log += "(waited in vain: " + what + ")\n"
		d.t.Errorf("waited in vain: %s", what)
	}
}

// answer is an HTTP answer.
type answer struct {
	status int
	body   string
}

var fresh = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (d *user) ask(method, url, body string, header ...string) answer {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, url, strings.NewReader(body))
	must(d.t, err)
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	resp, err := fresh.Do(req)
	if err != nil {
		return answer{0, err.Error()}
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body) // the status says it
	return answer{resp.StatusCode, strings.TrimSpace(string(text))}
}

// ready asks /readyz until it has the status and all of the texts.
func (d *user) ready(status int, texts ...string) answer {
	d.t.Helper()
	var a answer
	d.await(fmt.Sprintf("/readyz answers %d with %q", status, texts), func() bool {
		a = d.ask(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/readyz", d.adminPort), "")
		return a.status == status && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(a.body, text) })
	})
	d.log += fmt.Sprintf("$ curl http://127.0.0.1:%d/readyz\n%d %s\n", d.adminPort, a.status, a.body)
	return a
}

// webhook posts a webhook as factro does, to the cloud's path, and wants a status.
func (d *user) webhook(cloud, with, body string, status int) {
	d.t.Helper()
	a := d.ask(http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/webhooks/%s", d.webhookPort, cloud), body, "X-Bridge-Key", with, "Content-Type", "application/json")
	shown := body
	if len(shown) > 80 {
		shown = fmt.Sprintf("(%d bytes)", len(body))
	}
	d.log += fmt.Sprintf("$ curl -H 'X-Bridge-Key: …' -d '%s' http://127.0.0.1:%d/webhooks/%s\n%d %s\n", shown, d.webhookPort, cloud, a.status, a.body)
	if a.status != status {
		d.t.Errorf("a webhook to %s is answered %d %s, want %d", cloud, a.status, a.body, status)
	}
}

func itoa(port int) string { return strconv.Itoa(port) }

// event is a webhook's body about an object.
func event(entity string) string {
	return fmt.Sprintf(`{"action":"TaskStateChanged","context":{"entityId":%q}}`, entity)
}
