package tenant

import (
	"maps"
	"slices"
	"time"
)

// Config describes a tenant.
type Config struct {
	MandantID string
	// Examples adds one object of each kind to the demo tenant.
	Examples bool
	Now      func() time.Time
	NewID    func() string
	// Payloads are the stored payloads of webhooks since an instant, of one action or of all.
	Payloads func(since time.Time, action string) []any
}

// Tenant is the state of one tenant of factro, with its operations. It is not safe for concurrent use. The simulator's lock guards it,
// because a change, its line in the journal and its events belong together.
type Tenant struct {
	config   Config
	contract *contract
	handlers map[string]handler
	store    *store
}

// New makes the demo tenant.
func New(cfg Config) (*Tenant, error) {
	n := &Tenant{config: cfg, handlers: handlers(), store: newStore()}
	seed(n.store, cfg.MandantID, cfg.Now())
	if !cfg.Examples {
		return n, nil
	}
	var err error
	if n.contract, err = parsedContract(); err != nil {
		return nil, err
	}
	return n, n.addExamples()
}

// Clone copies a tenant. Later changes to one do not affect the other.
func (n *Tenant) Clone() *Tenant {
	out := *n
	out.store = n.store.clone()
	return &out
}

// Env is the environment of one operation.
type Env struct {
	Variants Variants
	// ReadableAfter is how long reads still show the state before a change.
	ReadableAfter time.Duration
	// Keep writes the changes into the journal before they are answered. It may be nil.
	Keep func([]Change) error
}

// Result is the result of an operation.
type Result struct {
	Answer any // nil for a void operation
	Status int // 0 means the usual status
	Events []Event
}

// Do runs an operation. If it fails, nothing has changed. A mistake of the caller is a *RefusalError.
func (n *Tenant) Do(c *Call, e Env) (Result, error) {
	contract, err := parsedContract()
	if err != nil {
		return Result{}, err
	}
	n.contract = contract
	t := n.tx(c, e)
	if err := t.guardClosed(); err != nil {
		return Result{}, err
	}
	run := n.handlers[c.op.Name]
	if run == nil {
		run = fromSchema
	}
	var answer any
	err = t.atomically(func() error {
		if answer, err = run(t); err != nil || e.Keep == nil || len(t.done) == 0 {
			return err
		}
		return e.Keep(t.done)
	})
	return Result{answer, t.status, t.events}, err
}

func (n *Tenant) tx(c *Call, e Env) *tx {
	return &tx{Call: c, Env: e, Config: n.config, store: n.store, contract: n.contract, user: demoUser, now: n.config.Now()}
}

// Restore applies changes from a journal.
func (n *Tenant) Restore(changes []Change) {
	for _, c := range changes {
		if c.Object == nil {
			n.store.remove(c.Kind, c.ID)
			continue
		}
		n.store.put(c.Kind, c.Object, time.Time{})
		n.store.of(c.Kind).last = c.Last
	}
}

// Kinds are the kinds of objects, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Count is the number of objects of a kind.
func (n *Tenant) Count(kind string) int { return n.store.count(kind) }

// Objects are the objects of a kind, in the order of their creation.
func (n *Tenant) Objects(kind string) []Object {
	c := n.store.kinds[kind]
	if c == nil {
		return nil
	}
	out := make([]Object, len(c.order))
	for i, id := range c.order {
		out[i] = c.items[id]
	}
	return out
}

// Object is the object of a kind with this id, or nil.
func (n *Tenant) Object(kind, id string) Object {
	if c := n.store.kinds[kind]; c != nil {
		return c.items[id]
	}
	return nil
}

// guardClosed refuses writes below a closed task.
func (t *tx) guardClosed() error {
	id, below := t.params["taskId"]
	if !below || !t.op.Writes() || t.op.Name == "setTaskState" {
		return nil
	}
	task, err := t.get("task", id)
	if err != nil {
		return nil //nolint:nilerr // the operation itself reports an unknown task
	}
	return checkOpen(task)
}
