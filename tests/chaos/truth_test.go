package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// ask makes a request of the test itself to the simulator, and decodes the answer if into is not nil.
func (w *world) ask(method, path, body string, into any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.ctx, method, "http://"+w.core.aimed()+path, bytes.NewReader([]byte(body)))
	must(w.t, err)
	req.Header.Set("Authorization", apiKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := admins.Do(req)
	must(w.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(w.t, err)
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("%s %s: %s %s", method, path, resp.Status, text)
	}
	if into != nil {
		must(w.t, json.Unmarshal(text, into))
	}
}

// faults replaces the faults of the simulator, given as JSON.
func (w *world) faults(text string) {
	w.t.Helper()
	w.ask(http.MethodPut, "/_sim/faults", text, nil)
}

// packages makes packages for tasks, so that the lists in which a bridge looks for them stay short.
func (w *world) packages(n int) (ids []string) {
	w.t.Helper()
	for i := range n {
		var made struct{ ID string }
		w.ask(http.MethodPost, "/api/core/projects/"+demoProject+"/packages", fmt.Sprintf(`{"title":"Paket %d"}`, i), &made)
		ids = append(ids, made.ID)
	}
	return ids
}

// changed are the numbers in the titles of tasks in the order in which factro has applied the commands, by the simulator's journal.
// Those of creates are in made, those of updates in set; a number is in there twice if the command was applied twice.
type changed struct {
	order     []int
	made, set map[int]int
}

func (w *world) changed() changed {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "sim", "journal.jsonl"))
	must(w.t, err)
	out, known := changed{made: map[int]int{}, set: map[int]int{}}, map[string]bool{}
	for line := range bytes.Lines(text) {
		var entry struct {
			Changes []struct {
				Kind, ID string
				Object   struct{ Title string }
			}
		}
		must(w.t, json.Unmarshal(line, &entry))
		for _, c := range entry.Changes {
			var n int
			if _, err := fmt.Sscanf(c.Object.Title, "Prüfung %d", &n); c.Kind != "task" || err != nil {
				continue
			}
			switch {
			case c.ID == demoTask:
				out.set[n]++
			case known[c.ID]:
				continue
			default:
				known[c.ID] = true
				out.made[n]++
			}
			out.order = append(out.order, n)
		}
	}
	return out
}

// wantOrder wants what factro has applied to be in the order of the commands in each lane, and each create to be applied once. An
// update may be applied again, but not after the next command of its lane.
func (w *world) wantOrder(lane func(n int) int) {
	w.t.Helper()
	all := w.changed()
	last, reordered, doubled, again := map[int]int{}, 0, 0, 0
	for _, n := range all.order {
		if have, ok := last[lane(n)]; ok && n < have {
			reordered++
			w.t.Errorf("lane %d: command %d was applied after command %d", lane(n), n, have)
		}
		last[lane(n)] = max(last[lane(n)], n)
	}
	sent := map[string]int{}
	for _, title := range w.commands.sent {
		sent[title]++
	}
	for number, n := range all.made {
		doubled += max(0, n-sent[fmt.Sprintf("Prüfung %d", number)])
	}
	for _, n := range all.set {
		again += n - 1
	}
	w.t.Logf("factro has applied %d creates and %d updates in %d lanes: %d creates twice, %d updates once more without effect, %d out of order",
		len(all.made), len(all.set), len(last), doubled, again, reordered)
	if doubled > 0 {
		w.t.Errorf("%d creates were applied twice", doubled)
	}
	if len(all.order) == 0 {
		w.t.Error("factro has applied nothing")
	}
}
