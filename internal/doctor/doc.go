// Package doctor checks whether everything around a bridge is as the bridge needs it: configuration, files, NATS, factro, the path of
// webhooks, telemetry.
//
// In: a configuration, and small interfaces to NATS, factro, the disk and the clock. Out: a report: for each check what was found, why
// it matters and a line that helps, or why the check could not be made. The checks are a table.
//
// It changes nothing in NATS and factro, prints nothing and knows no terminal. A check that could not be made is never reported as
// good. No secret is in a report.
package doctor
