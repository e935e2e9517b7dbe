package bridge

import (
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/config"
)

// connections is how many connections each server of the process may have, so that none of them takes the descriptors that
// the others and the disk need.
type connections struct{ webhooks, perAddress, admin, nats int }

// Descriptors that are kept for everything but the servers. Measured with two clouds, all roles, an embedded server and a
// spool: 22 at rest, among them one file for each stream.
const (
	// keptFiles are for the program: its log, listeners and pipes, the connection to NATS, the exporter of traces, files that
	// are read now and then, and the 16 that a file store opens at most at once beside its streams.
	keptFiles = 48
	// keptPerServer are for the directories, locks and consumers of an embedded server or a spool.
	keptPerServer = 8
	// keptPerCloud are for calls of its Core API, keptStreams for its eight streams in an embedded server, which open a second
	// file while old messages are read.
	keptPerCloud, keptStreams = 8, 12
)

// Bounds of what the servers beside that for webhooks get. An operator's probes and scrapes are few.
const (
	minAdmin, maxAdmin = 8, 64
	minNATS, maxNATS   = 16, 4096
	minWebhooks        = 16
)

// divide divides the descriptors that the process may have; 0 says that nobody limits them. A warning says that there
// are too few for what is configured.
func divide(c config.Config, files int) (connections, string) {
	out := connections{webhooks: c.HTTP.MaxConnections, perAddress: c.HTTP.MaxConnectionsPerAddress, admin: maxAdmin, nats: maxNATS}
	if files <= 0 {
		return out, ""
	}
	kept := keptFiles + keptPerCloud*len(c.Clouds)
	if c.NATS.Embedded.DataDir != "" {
		kept += keptPerServer + keptStreams*len(c.Clouds)
	}
	if c.Spool.Dir != "" && c.Has(config.RoleIngress) {
		kept += keptPerServer
	}
	out.admin = min(max(files/16, minAdmin), maxAdmin)
	out.nats = min(max(files/8, minNATS), maxNATS)
	left := files - kept - out.admin
	if c.NATS.Embedded.DataDir != "" && c.NATS.Embedded.Listen != "" {
		left -= out.nats
	}
	if !c.Has(config.RoleIngress) || left >= out.webhooks {
		return out, ""
	}
	want := out.webhooks
	out.webhooks = max(left, minWebhooks)
	out.perAddress = max(out.perAddress*out.webhooks/want, 4)
	return out, fmt.Sprintf("the limit of open files, %d, leaves %d connections for webhooks instead of http.max_connections, %d; raise it (ulimit -n, LimitNOFILE) to at least %d",
		files, out.webhooks, want, files+want-left)
}
