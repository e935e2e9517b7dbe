package topology

import (
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// LedgerBucket is the name of the key-value bucket that remembers the commands of a cloud.
func LedgerBucket(p events.Prefix, cloud string) string { return named(p, "LEDGER", cloud) }

// KeysBucket is the name of the key-value bucket that has the external keys of a cloud's objects.
func KeysBucket(p events.Prefix, cloud string) string { return named(p, "KEYS", cloud) }

func named(p events.Prefix, kind, cloud string) string {
	return strings.ToUpper(string(p)) + "_" + kind + "_" + strings.ToUpper(cloud)
}

// OldName is the name that a stream or bucket had before each cloud had its own: all clouds shared one of each kind.
func OldName(p events.Prefix, kind string) string { return strings.ToUpper(string(p)) + "_" + kind }

// OldFileBucket is the bucket for files that all clouds shared. Commands that were sent then refer to it.
func OldFileBucket(p events.Prefix) string { return OldName(p, "FILES") }

// ReconcileBucket is the name of the key-value bucket that holds, for each cloud, who reconciles it and how far that is.
func ReconcileBucket(p events.Prefix) string { return strings.ToUpper(string(p)) + "_RECONCILE" }

// AdvisoryStream is the name of the work queue of advisories about commands of a cloud that were given up, such as
// FACTRO_ADVISORIES_ACME.
func AdvisoryStream(p events.Prefix, cloud string) string { return named(p, "ADVISORIES", cloud) }

// OnlyForAdvisories says whether a request to the API of JetStream is one that only the care for what the broker gives up
// needs: without the right to it, events and commands go on. root is what the subjects of the API begin with.
func OnlyForAdvisories(subject, root string, p events.Prefix, cloud string) bool {
	commands, dead := p.CommandStream(cloud), p.DeadStream(cloud)
	for _, start := range []string{
		"CONSUMER.LIST." + commands, "STREAM.MSG.DELETE." + commands, "STREAM.MSG.GET." + commands,
		"DIRECT.GET." + commands, "CONSUMER.CREATE." + dead + ".", "CONSUMER.DELETE." + dead + ".",
		"CONSUMER.MSG.NEXT." + dead + ".",
	} {
		if strings.HasPrefix(subject, root+"."+start) {
			return true
		}
	}
	ofJetStream := strings.HasPrefix(subject, "$JS.") || strings.HasPrefix(subject, root+".")
	return ofJetStream && slices.Contains(strings.Split(subject, "."), AdvisoryStream(p, cloud))
}
