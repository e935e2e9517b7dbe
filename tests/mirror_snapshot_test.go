package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/tests/poll"
)

// size is how much a factro has.
type size struct{ projects, packages, tasks int } // packages of each project, tasks in all

// fill makes the objects of a factro by its Core API, without a network, and with a key of its own: its requests count for nobody else.
func (f *factro) fill(t testing.TB, s size) {
	t.Helper()
	const seeder = "key-of-the-seeder"
	f.SetKey(seeder)
	if err := f.SetVariants(sim.Variants{Quota: 1_000_000}); err != nil {
		t.Fatal(err)
	}
	post := func(path string, elements []map[string]any) (ids []string) {
		body, err := json.Marshal(elements)
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/core"+path, bytes.NewReader(body))
		req.Header.Set("Authorization", seeder)
		req.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		f.Handler().ServeHTTP(answer, req)
		var made []struct{ ID string }
		if err := json.Unmarshal(answer.Body.Bytes(), &made); err != nil || len(made) != len(elements) {
			t.Fatalf("%s: %d with %d objects for %d: %v", path, answer.Code, len(made), len(elements), err)
		}
		for _, o := range made {
			ids = append(ids, o.ID)
		}
		return ids
	}
	titles := func(n int) (all []map[string]any) {
		for i := range n {
			all = append(all, map[string]any{"title": fmt.Sprint("Nummer ", i)})
		}
		return all
	}
	var parents []string
	for _, project := range post("/projects/projects", titles(s.projects)) {
		parents = append(parents, post("/projects/"+project+"/packages/packages", titles(s.packages))...)
	}
	const together = 1000
	for n := 0; n < s.tasks; n += together {
		tasks := titles(min(together, s.tasks-n))
		for i, task := range tasks {
			task["targetParentId"], task["description"] = parents[(n+i)%len(parents)], "Für die Prüfung der ersten Kopie"
			task["startDate"], task["endDate"], task["plannedEffort"] = "2026-10-01T22:00:00.000Z", "2026-10-02T22:00:00.000Z", 8
		}
		post("/tasks/tasks", tasks)
	}
	f.SetKey(apiKey)
	if err := f.SetVariants(sim.Variants{}); err != nil {
		t.Fatal(err)
	}
}

// ids are those of the objects that are mirrored, by their kinds.
func (f *factro) ids() map[string][]string {
	all := map[string][]string{}
	for kind := range paths {
		for _, o := range f.Objects(kind) {
			all[kind] = append(all[kind], fmt.Sprint(o["id"]))
		}
	}
	return all
}

// compareCopies compares what the Core API shows of each object with its entry, byte for byte. Nothing of the bridge is involved: it
// knows only the names that the documents tell.
func compareCopies(ctx context.Context, core, key string, js jetstream.JetStream, ids map[string][]string) (compared int, _ error) {
	kv, err := js.KeyValue(ctx, "FACTRO_STATE_ACME")
	if err != nil {
		return 0, err
	}
	one := func(kind, id string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, core+"/"+kind+"s/"+id, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s %s: %d, %w", kind, id, resp.StatusCode, err)
		}
		entry, err := kv.Get(ctx, "acme."+kind+"."+id)
		if err != nil {
			return fmt.Errorf("%s %s: %w", kind, id, err)
		}
		if !bytes.Equal(text, entry.Value()) {
			return fmt.Errorf("%s %s: factro has %s, the copy is %s", kind, id, text, entry.Value())
		}
		return nil
	}
	type object struct{ kind, id string }
	objects, results := make(chan object), make(chan error)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for o := range objects {
				results <- one(o.kind, o.id)
			}
		})
	}
	go func() {
		for kind, all := range ids {
			for _, id := range all {
				objects <- object{kind, id}
			}
		}
		close(objects)
		workers.Wait()
		close(results)
	}()
	var wrong []error
	for err := range results {
		if compared++; err != nil {
			wrong = append(wrong, err)
		}
	}
	keys, err := kv.ListKeys(ctx)
	if err != nil {
		return compared, err
	}
	entries := 0
	for range keys.Keys() {
		entries++
	}
	if entries != compared {
		wrong = append(wrong, fmt.Errorf("there are %d entries for %d objects", entries, compared))
	}
	return compared, errors.Join(wrong[:min(len(wrong), 5)]...)
}

const (
	readsLists = "the mirror reads all lists of a cloud"
	hasRead    = "the mirror has read all lists of a cloud"
)

// times is how often something was logged.
func (b *bridge) times(text string) int { return strings.Count(b.log.String(), text) }

// large waits for what may take long with much to read.
func large(t testing.TB, what string, ok func() bool) {
	t.Helper()
	poll.Until(t, 20*time.Minute, what, ok)
}

// TestMirrorKilled: a first copy that is killed over and over again goes on, and is what factro has. With -pace it is large.
func TestMirrorKilled(t *testing.T) {
	t.Parallel()
	s, kills, quota, pause := size{10, 2, 300}, 1, 6000, 400*time.Millisecond // a lease of a bridge that was killed holds for six seconds
	if *pace {
		s, kills, quota, pause = size{100, 3, 20_000}, 10, 480, 6*time.Second
	}
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{Quota: quota})
	f.fill(t, s)
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, rpm: quota, roles: "ingress, mirror", env: []string{"FACTRO_BRIDGE_LOG_LEVEL=info"}})
	began := time.Now()
	b.start()
	killed := 0
	for killed < kills {
		large(t, "it reads", func() bool { return b.times(readsLists) > killed || b.times(hasRead) > 0 })
		<-time.After(rand.N(pause))
		if b.times(hasRead) > 0 {
			break
		}
		b.kill()
		b.launch()
		killed++
	}
	large(t, "the first copy is complete", func() bool { return b.times(hasRead) > 0 })
	took := time.Since(began)
	requests, refused, lists, again := 0, 0, map[string]int{}, 0
	for _, r := range f.Requests() {
		if r.Method != http.MethodGet {
			continue
		}
		requests++
		if r.Status == http.StatusTooManyRequests {
			refused++
		}
		if strings.HasPrefix(r.Operation, "list") {
			if lists[r.Path]++; lists[r.Path] > 1 {
				again++
			}
		}
	}
	if refused > 0 {
		t.Errorf("%d requests were refused", refused)
	}
	if err := f.SetVariants(sim.Variants{Quota: 1_000_000}); err != nil {
		t.Fatal(err)
	}
	_, js := n.Connect(t)
	compared, err := compareCopies(t.Context(), f.url, apiKey, js, f.ids())
	if err != nil {
		t.Error(err)
	}
	if changes := changesOf(t, js); changes > 0 {
		t.Errorf("the first copy has led to %d changes", changes)
	}
	t.Logf("%d objects in %s with %d kills: %d requests, %.0f objects a second; of %d lists %d were read again",
		compared, took.Round(time.Second), killed, requests, float64(compared)/took.Seconds(), len(lists), again)
	// Each time the form of the lists is learnt again, and the progress of two seconds is lost. Half of the budget is for lists.
	lost := 8 + 3*quota/60/2
	if most := len(lists) + 8 + killed*lost; requests > most {
		t.Errorf("%d requests for %d lists with %d kills, want %d at most", requests, len(lists), killed, most)
	}
}

// changesOf is how many changes were published.
func changesOf(t testing.TB, js jetstream.JetStream) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), "FACTRO_CHANGES_ACME")
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// memory is what the process holds now, and at most since the last call, in bytes.
func (b *bridge) memory() (now, peak int64) {
	b.t.Helper()
	file := fmt.Sprintf("/proc/%d/", b.cmd.Process.Pid)
	status, err := os.ReadFile(file + "status")
	if err != nil {
		b.t.Skip("this system does not tell what a process holds")
	}
	field := func(name string) int64 {
		_, rest, _ := strings.Cut(string(status), "\n"+name+":")
		rest, _, _ = strings.Cut(rest, " kB")
		n, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64) // a zombie has none
		return n << 10
	}
	_ = os.WriteFile(file+"clear_refs", []byte("5"), 0) // the peak begins again, where it may
	return field("VmRSS"), field("VmHWM")
}

// TestMirrorMemory: what a mirror holds at most grows little with the objects. It keeps eight bytes of each while it looks for those that
// are gone.
func TestMirrorMemory(t *testing.T) { //nolint:paralleltest // others would take the processors
	if !*pace {
		t.Skip("it takes minutes; run it with -pace")
	}
	const (
		few, many = 10_000, 100_000
		perObject = 300 // what the collector leaves lying about included
	)
	peaks := map[int]int64{}
	for _, tasks := range []int{few, many} {
		n := natstest.Start(t)
		f := startFactro(t, sim.Config{})
		f.fill(t, size{100, 3, tasks})
		b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, roles: "ingress, mirror", env: []string{"FACTRO_BRIDGE_LOG_LEVEL=info"}}).start()
		began := time.Now()
		large(t, "the first copy is complete", func() bool { return b.times(hasRead) > 0 })
		took := time.Since(began)
		after, peak := b.memory()
		if out, err := exec.CommandContext(t.Context(), binary, "mirror", "verify", "--config", b.configFile).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		large(t, "the comparison has ended", func() bool { return b.times(hasRead) > 1 })
		verified, verifying := b.memory()
		t.Logf("%d tasks in %s: %.1f MiB after the first copy, %.1f at most; %.1f MiB after a comparison, %.1f at most during it", tasks, took.Round(time.Second),
			mib(after), mib(peak), mib(verified), mib(verifying))
		peaks[tasks] = max(peak, verifying)
		b.kill()
		n.Stop()
	}
	if grown := (peaks[many] - peaks[few]) / int64(many-few); grown > perObject && raceFlag == "" {
		t.Errorf("the peak grows by %d bytes for each object", grown)
	}
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
