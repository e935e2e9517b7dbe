package inspect

import (
	"context"
	"errors"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// Permission is one that a role needs of the server.
type Permission struct {
	Role, Cloud string
	// Subject is what was asked for, Allow what to grant.
	Subject, Allow string
	// Subscribe says that it is one to subscribe; else to publish.
	Subscribe bool
	// For is what does not work without it. Optional says that the main work of the role goes on.
	For      string
	Optional bool
	// Refused says that the server refuses it.
	Refused bool
}

// permissions asks for what the roles need, and says what is refused. Nobody gets what it sends.
func (i *Inspector) permissions(ctx context.Context, roles []string) ([]Permission, error) {
	var all []Permission
	for _, cloud := range i.client.Settings().Clouds {
		for _, role := range roles {
			all = append(all, Needed(i.client.Settings(), role, cloud)...)
		}
	}
	for n := range all {
		if ctx.Err() != nil || !i.client.NATS().IsConnected() {
			return nil, errors.New("the connection was lost, or there was no time to ask for all of them")
		}
		if all[n].Subscribe {
			all[n].Refused = !health.MaySubscribe(ctx, i.client.NATS(), all[n].Subject)
			continue
		}
		may, known := health.MayPublish(ctx, i.client.NATS(), all[n].Subject)
		if !known {
			return nil, errors.New("this user may not publish to inboxes, so NATS does not say which permissions it has")
		}
		all[n].Refused = !may
	}
	return all, nil
}

// asked stands for a part of a subject that varies. Nobody uses it, so that a subscription to it gets nothing.
const asked = "doctor"

// Needed are the permissions that a role needs for a cloud, as deploy/nats/auth.conf has them. Those to delete or purge are left out:
// they are not asked for, since asking must not be able to do any harm.
func Needed(cfg dial.Config, role, cloud string) []Permission {
	n := needs{cfg: cfg, role: role, cloud: cloud}
	p, prefix := cfg.Prefix, string(cfg.Prefix)
	events, commandQueue := p.EventStream(cloud), p.CommandStream(cloud)
	reconcile, egress := topology.ReconcileBucket(p), topology.EgressConsumer(cloud)
	report := func() {
		n.optional(prefix+".bridge."+cloud+".", ">", "reports of the bridge about itself are lost")
		n.optional(cfg.API("STREAM.MSG.GET."+topology.ControlStream(p)), "", "pauses by operators are not noticed")
	}
	switch role {
	case "ingress":
		n.must(prefix+".event."+cloud+".", ">", "no webhook becomes an event")
		n.must(prefix+".dead.webhook."+cloud, "", "bodies that are no event are lost")
		report()
	case "egress":
		ledger := topology.LedgerBucket(p, cloud)
		n.must(cfg.API("CONSUMER.MSG.NEXT."+commandQueue+"."+egress), "", "no command is carried out")
		n.must("$JS.ACK."+commandQueue+"."+egress+".", ">", "commands are carried out again and again")
		n.must(prefix+".result."+cloud+".", ">", "senders get no results")
		n.must(prefix+".dead.command."+cloud+".", ">", "commands that fail for good hold up the others")
		n.must(cfg.API("STREAM.MSG.GET."+commandQueue), "", "no command is carried out")
		n.must(cfg.API("STREAM.MSG.GET.KV_"+ledger), "", "an old copy may answer, and a command may be carried out twice")
		n.must(n.entry(ledger), ">", "no command is carried out: what has begun cannot be recorded")
		n.must(n.entry(reconcile)+"commands."+cloud, "", "the bridge gets no lease, and carries out no commands")
		n.optional(cfg.API("CONSUMER.CREATE."+commandQueue+"."+egress), "", "after a crash, commands wait until NATS delivers them again")
		report()
	case "query":
		n.hear(prefix+".query."+cloud+".", ">", "no query is answered")
	case "reconcile":
		n.must(prefix+".event."+cloud+".", ">", "events that never came are not published late")
		n.must(cfg.API("STREAM.INFO."+events), "", "the stream cannot be compared with factro")
		n.must(cfg.API("CONSUMER.CREATE."+events+"."+asked+"."+prefix+".event."+cloud+".>"), "", "the stream cannot be compared with factro")
		n.must(n.entry(reconcile)+"reconcile."+cloud, "", "the bridge gets no lease, and reconciles nothing")
		report()
	case "mirror":
		state := change.Bucket(p, cloud)
		n.must(prefix+".change."+cloud+".", ">", "no change is published")
		n.must(n.entry(state), ">", "no object is copied")
		n.must(cfg.API("STREAM.MSG.GET.KV_"+state), "", "no object is copied")
		n.must(cfg.API("CONSUMER.CREATE."+events+"."+asked+"."+prefix+".event."+cloud+".>"), "", "changes are found only when the copy is verified")
		n.must(n.entry(reconcile)+"mirror."+cloud, "", "the bridge gets no lease, and mirrors nothing")
		report()
	}
	return n.all
}

// needs collects permissions.
type needs struct {
	cfg         dial.Config
	role, cloud string
	all         []Permission
}

func (n *needs) add(subject, rest, why string) *Permission {
	p := Permission{Role: n.role, Cloud: n.cloud, Subject: subject, Allow: subject + rest, For: why}
	if strings.HasSuffix(subject, ".") {
		p.Subject = subject + asked
	}
	n.all = append(n.all, p)
	return &n.all[len(n.all)-1]
}

func (n *needs) must(subject, rest, why string)     { n.add(subject, rest, why) }
func (n *needs) optional(subject, rest, why string) { n.add(subject, rest, why).Optional = true }
func (n *needs) hear(subject, rest, why string)     { n.add(subject, rest, why).Subscribe = true }

// entry is what the subjects of a bucket's entries begin with. Where the API of JetStream is elsewhere, they are written by way of it.
func (n *needs) entry(bucket string) string {
	subject := "$KV." + bucket + "."
	if n.cfg.Domain != "" || n.cfg.APIPrefix != "" {
		return n.cfg.API(subject)
	}
	return subject
}
