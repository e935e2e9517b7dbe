package topology

import (
	"strings"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// LedgerBucket is the name of the key-value bucket that remembers the commands of a cloud.
func LedgerBucket(p events.Prefix, cloud string) string { return named(p, "LEDGER", cloud) }

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
