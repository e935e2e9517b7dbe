package tests

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/state"
	"github.com/factro-bridge/factro-bridge/internal/diff"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// people are those who work in factro's web UI.
type people struct {
	*mirrored
	random   *rand.Rand
	projects []string
	packages []string
	tasks    []string
	edits    int
}

func pick(random *rand.Rand, ids []string) string { return ids[random.IntN(len(ids))] }

// edit changes something at random.
func (p *people) edit() {
	p.edits++
	made := func(kind map[string]any) string { return fmt.Sprint(kind["id"]) }
	title := fmt.Sprint("edit ", p.edits)
	switch n := p.random.IntN(100); {
	case n < 2 || len(p.projects) == 0:
		p.projects = append(p.projects, made(p.call(http.MethodPost, "/projects", map[string]any{"title": title})))
	case n < 6 || len(p.packages) == 0:
		project := pick(p.random, p.projects)
		p.packages = append(p.packages, made(p.call(http.MethodPost, "/projects/"+project+"/packages", map[string]any{"title": title, "targetParentId": project})))
	case n < 30 || len(p.tasks) == 0:
		p.tasks = append(p.tasks, made(p.call(http.MethodPost, "/tasks", map[string]any{"title": title, "targetParentId": pick(p.random, p.packages)})))
	case n < 70:
		p.call(http.MethodPut, "/tasks/"+pick(p.random, p.tasks), map[string]any{"title": title, "plannedEffort": p.random.IntN(5), "description": pick(p.random, []string{"a", "b"})})
	case n < 80:
		p.call(http.MethodPut, "/tasks/"+pick(p.random, p.tasks)+"/package", map[string]any{"packageId": pick(p.random, p.packages)})
	case n < 85:
		p.call(http.MethodPut, "/projects/"+pick(p.random, p.projects), map[string]any{"title": title})
	case n < 88:
		p.call(http.MethodDelete, "/tasks/"+pick(p.random, p.tasks)+"/project", nil)
	default:
		at := p.random.IntN(len(p.tasks))
		p.call(http.MethodDelete, "/tasks/"+p.tasks[at], nil)
		p.tasks = append(p.tasks[:at], p.tasks[at+1:]...)
	}
}

// TestMirrorRandom: whatever people do while webhooks are lost, doubled and reordered, and bridges and NATS die, after a comparison the
// copy is what factro has, and each change leads from the state before it to the next one.
func TestMirrorRandom(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("MIRROR_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Log("MIRROR_SEED=", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{Examples: true, Seed: seed, Delivery: sim.Delivery{Loss: 0.3, Duplicates: 0.2, Reorder: 0.2, Retries: 3, RetryDelay: 200 * time.Millisecond}})
	clouds := map[string]string{"acme": f.url}
	more := fmt.Sprintf("mirror: {settle: 100ms, recheck: 1s}\nspool: {dir: %q}", t.TempDir())
	first := newBridge(t, bridgeConfig{nats: n.URL(), clouds: clouds, roles: "ingress, mirror", more: more}).start()
	second := newBridge(t, bridgeConfig{nats: n.URL(), clouds: clouds, roles: "mirror", more: "mirror: {settle: 100ms, recheck: 1s}"})
	first.register(f, "acme")
	_, js := n.Connect(t)
	m := &mirrored{t: t, f: f, b: first, js: js}
	waitFor(t, "the first snapshot is complete", func() bool { return strings.Contains(first.log.String(), "the mirror has read all lists") })
	m.open()
	before := m.inStep()
	second.start()

	var over atomic.Bool
	broken := make(chan int)
	go func() { // kills
		kills := 0
		chaos := rand.New(rand.NewPCG(seed, 1))
		for !over.Load() {
			time.Sleep(time.Duration(1000+chaos.IntN(3000)) * time.Millisecond) //nolint:forbidigo // it is the time between failures
			switch chaos.IntN(5) {
			case 0, 1:
				first.kill()
				first.launch()
			case 2, 3:
				second.kill()
				second.launch()
			default:
				n.Stop()
				n.Start()
			}
			kills++
		}
		broken <- kills
	}()
	p := &people{mirrored: m, random: random}
	for end := time.Now().Add(*mirrorFor); time.Now().Before(end); {
		p.edit()
		time.Sleep(time.Duration(p.random.IntN(40)) * time.Millisecond) //nolint:forbidigo // people take their time
	}
	over.Store(true)
	kills := <-broken
	waitFor(t, "the bridges are ready", func() bool { return first.ready() && second.ready() })
	t.Logf("compared: %+v", compare(t, first.configFile))
	after := m.inStep()
	changes := m.changes()
	check := m.fold(before, after, changes)
	t.Logf("%d edits, %d failures, %d changes, %d objects at the end: %s", p.edits, kills, len(changes), len(after), check)
}

// compare has the mirror compare all objects with factro, and returns what it has found. With many objects it takes longer than a wait of
// a test may, so it goes on as long as the test may.
func compare(t *testing.T, config string) state.Sweep {
	t.Helper()
	ask := func(what ...string) (p state.Progress, ok bool) {
		out, _, code := bridgeCommand(t, append(append([]string{"mirror"}, what...), "--config", config, "--json")...)
		if code != 0 {
			return p, false // while a bridge is taking over
		}
		if err := json.Unmarshal([]byte(out), &p); err != nil {
			t.Fatal(err)
		}
		return p, true
	}
	var before state.Progress
	waitFor(t, "the comparison begins", func() (ok bool) {
		before, ok = ask("verify", "--no-wait")
		return ok
	})
	for t.Context().Err() == nil {
		if p, ok := ask("status"); ok && p.Last != nil && p.Last.Kind == "verify" && (before.Last == nil || p.Last.Ended.After(before.Last.Ended)) {
			return *p.Last
		}
	}
	t.Fatal("the comparison has not ended")
	return state.Sweep{}
}

// fold checks that the changes lead from the first copy to the last one: each begins where the one before it has ended.
func (m *mirrored) fold(before, after map[string]string, changes []changed) string {
	m.t.Helper()
	parse := func(text string) diff.Object {
		o, err := diff.Parse([]byte(text))
		if err != nil {
			m.t.Fatal(err)
		}
		return o
	}
	folded := map[string]diff.Object{}
	for key, text := range before {
		folded[key] = parse(text)
	}
	ids := map[string]bool{}
	noise := []string{"changeDate"}
	for _, c := range changes {
		have, there := folded[c.key]
		switch {
		case ids[c.id]:
			m.t.Errorf("the change %s is there twice", c.id)
		case there == (c.what == change.Created):
			m.t.Errorf("%s of %s, which is there: %t", c.what, c.key, there)
		}
		ids[c.id] = true
		for name, value := range c.Before {
			if name != "changeDate" && !diff.Equal(have[name], value) {
				m.t.Errorf("%s of %s: %s was %s, not %s", c.what, c.key, name, have[name], value)
			}
		}
		if folded[c.key] = diff.Fold(have, c.Difference); c.what == change.Deleted {
			delete(folded, c.key)
		}
	}
	wrong := 0
	for key := range folded {
		if after[key] == "" {
			wrong++
			m.t.Errorf("%s is there after all changes, but not in the copy", key)
		}
	}
	for key, text := range after {
		if d := diff.Between(folded[key], parse(text), noise); !d.None() {
			wrong++
			m.t.Errorf("%s: after all changes %s differs", key, d.Changed)
		}
	}
	return fmt.Sprintf("%d differ", wrong)
}
