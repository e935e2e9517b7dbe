package advisory

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// patientLooks is how often a dead letter is looked for before it counts as never written: a replica that answers may be behind
// the one that stored it.
const patientLooks = 3

// terminated looks at a termination. One of the bridge has its dead letter, which was stored before. That of somebody else took
// the command away, and only the advisory is left of it. If there is no dead letter yet, and it is early, it is not done.
func (r *Reader) terminated(ctx context.Context, a advisory, early bool) (done bool, err error) {
	found, err := r.recent.has(ctx, a)
	if err != nil || found || early {
		return found, err
	}
	r.recent.rewind()
	if found, err := r.recent.has(ctx, a); err != nil || found {
		return found, err
	}
	if slices.Contains(topology.DeadCommandCodes, a.Reason) {
		return true, nil // the dead letter was stored before the termination: somebody has dropped it since
	}
	data, err := json.Marshal(a)
	if err != nil {
		return false, fmt.Errorf("advisory: %w", err)
	}
	dead := &nats.Msg{Subject: r.conn.Settings().Prefix.DeadCommand(r.cloud, "", ""), Data: data, Header: nats.Header{}}
	deadletter.SetReason(dead.Header, deadletter.CodeTerminated, fmt.Errorf("somebody terminated it on the consumer %s (%s), and the bridge "+
		"has no dead letter about it; its data is lost, and the data here is what the broker said", a.Consumer, reasonOr(a.Reason)))
	deadletter.SetDelivery(dead.Header, a.position(), a.Deliveries)
	if err := r.letters.GiveUp(ctx, dead, "dead-advisory-"+a.position()+"-"+a.ID, false); err != nil {
		return false, err
	}
	r.log.WarnContext(ctx, "somebody terminated a command, and its data is lost; what is known is among the dead letters",
		"consumer", a.Consumer, "position", a.position())
	return true, nil
}

// maxReason bounds what is kept of somebody else's reason.
const maxReason = 256

func reasonOr(reason string) string {
	if reason == "" {
		return "no reason was given"
	}
	if reason = "reason: " + reason; len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	return reason
}
