package hostile

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of what an attack may do to its neighbours.
const (
	slower      = 10              // how many times the usual time of before
	always      = 3 * time.Second // or this, since the machine may be loaded
	maxMemory   = 256 << 20
	stopReserve = 8 * time.Second // beyond shutdown_timeout
)

func (f figures) sorted() figures {
	slices.Sort(f.webhooks)
	slices.Sort(f.commands)
	return f
}

// with are the bridges that have a role.
func (w *world) with(role string) (nodes []int) {
	for n, roles := range w.set.roles {
		if strings.Contains(roles, role) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// usual measures a cloud and fails the row if its webhooks or commands take longer than before the attack. Rows may call it
// in the midst of an attack.
func (w *world) usual(cloud string) figures {
	w.t.Helper()
	now := w.measure(cloud)
	for what, took := range map[string][2][]time.Duration{
		"webhooks": {w.before.webhooks, now.webhooks}, "commands": {w.before.commands, now.commands},
	} {
		bound := max(slower*most(took[0]), always)
		if slowest := most(took[1]); slowest > bound {
			w.t.Errorf("the slowest of %d %s of %s took %s, want at most %s", len(took[1]), what, cloud, slowest, bound)
		}
	}
	return now
}

// aftermath checks what has to be true after every attack, for the clouds that are to be as before, and writes the row. The
// bridges have ended when it returns.
func (w *world) aftermath(clouds ...string) {
	w.t.Helper()
	r := row{attack: w.attack, test: w.t.Name(), before: w.before}
	for _, cloud := range clouds {
		if f := w.usual(cloud); cloud == beta {
			r.after = f
		}
	}
	var missing error
	for w.ctx.Err() == nil { // what is under way may take its time
		if missing = w.books.missing(w.ctx); missing == nil {
			break
		}
		w.pause(100 * time.Millisecond)
	}
	if missing != nil {
		w.t.Errorf("lost, when the time of %s was over:\n%v", w.set.bound, missing)
	}
	for _, n := range w.bridges {
		if sum, there := n.metric("factro_bridge_unaccounted"); sum != 0 || !there {
			w.t.Errorf("%s: factro_bridge_unaccounted is %v, and exported: %t", n.Name, sum, there)
		}
		n.probes.stop()
		if err := n.probes.verdict(); err != nil {
			w.t.Error(err)
		}
		_, peak := n.Memory()
		if r.memory = max(r.memory, peak); peak == 0 || peak > maxMemory {
			w.t.Errorf("%s held up to %s, want less than %s", n.Name, mebibytes(peak), mebibytes(maxMemory))
		}
	}
	for _, n := range slices.Backward(w.bridges) { // the first may have the NATS server inside it
		took, err := n.Terminate(shutdownTimeout + stopReserve)
		if r.stop = max(r.stop, took); err != nil {
			w.t.Error(err)
		}
		if leaked := n.Leaked(); len(leaked) > 0 {
			w.t.Errorf("the log of %s has what no log may have:\n%s", n.Name, strings.Join(leaked, "\n"))
		}
	}
	r.failed = w.t.Failed()
	table.add(r)
}

func mebibytes(n int) string { return fmt.Sprintf("%d MiB", n>>20) }
