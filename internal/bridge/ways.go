package bridge

import (
	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/egress"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/reconcile"
)

// way is the way to one cloud's Core API, and what this process does on it.
type way struct {
	*egress.API
	worker     *egress.Worker        // nil without the role egress
	reader     *egress.Reader        // nil without the role query
	reconciler *reconcile.Reconciler // nil without the role reconcile
}

// ways builds the ways to all clouds, by their names; none for a process that does not call the Core API.
func (b *Bridge) ways(broker *bus.Conn, spool *bus.Spool, files *lastgood.Files) (map[string]way, error) {
	out := map[string]way{}
	if !b.cfg.calls() {
		return out, nil
	}
	for _, cloud := range b.cfg.Clouds {
		cfg := b.cfg.egress(cloud, b.version)
		cfg.Files = files
		api, err := egress.NewAPI(cfg, nil, b.log)
		if err != nil {
			return nil, err
		}
		w := way{API: api}
		if b.cfg.has(RoleEgress) {
			if w.worker, err = egress.New(api, broker, broker, broker); err != nil {
				return nil, err
			}
		}
		if b.cfg.has(RoleQuery) {
			if w.reader, err = egress.NewReader(api, broker); err != nil {
				return nil, err
			}
		}
		if b.cfg.has(RoleReconcile) {
			if w.reconciler, err = reconcile.New(b.cfg.reconcile(cloud), api, broker, broker, spool, b.log); err != nil {
				return nil, err
			}
		}
		out[cloud.Name] = w
	}
	return out, nil
}

// queryService is what a cloud's queries show of themselves: one endpoint for each operation that reads.
func queryService(cloud, version string) bus.Service {
	s := bus.Service{Cloud: cloud, Version: version}
	for _, op := range factro.Operations() {
		if !op.Writes() {
			s.Endpoints = append(s.Endpoints, bus.Endpoint{Resource: op.Resource, Operation: op.Name, Metadata: map[string]string{
				"method": op.Method, "path": op.Path, "confidence": op.Confidence,
			}})
		}
	}
	return s
}
