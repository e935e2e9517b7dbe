package tests

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	factroapi "github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// labelDoc says what a label may hold. There is no label without one, and each has few values.
type labelDoc struct {
	name string
	of   []string // the metrics; empty for all that no other entry names
	// The possible values; or what they are, in words, and their form.
	values []string
	words  string
	form   *regexp.Regexp
}

const (
	finalOutcomes = "applied rejected dead"
	resultCodes   = "invalid unknown-operation expired unknown-key conflict unsupported full notbefore cancelled policy purged refused throttled unauthorized unavailable exhausted ambiguous undeliverable"
	methods       = "GET HEAD POST PUT PATCH DELETE OPTIONS _OTHER"
)

var labelDocs = []labelDoc{
	{name: "factro_cloud", words: "a configured cloud; `unknown` for webhooks to any other name", form: regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)},
	{name: "factro_operation", words: "an operation of the Core API; `unknown` for any other name", form: regexp.MustCompile(`^[a-z][A-Za-z]+$`)},
	{name: "outcome", of: []string{"factro_bridge_webhooks_total"}, values: strings.Fields(
		"stored spooled probe empty not_found unknown_cloud method redirected ambiguous secret no_secret throttled header_too_large too_large slow broken unsupported unusable panic overloaded not_stored")},
	{name: "outcome", of: []string{"factro_bridge_commands_total"}, values: strings.Fields(finalOutcomes + " deferred")},
	{name: "outcome", of: []string{"factro_bridge_command_duration_seconds"}, values: strings.Fields(finalOutcomes)},
	{name: "outcome", of: []string{"factro_bridge_published_total", "factro_bridge_publish_duration_seconds"}, values: strings.Fields("stored failed")},
	{name: "outcome", of: []string{"factro_bridge_batch_size"}, values: strings.Fields("applied unmatched refused unknown failed")},
	{name: "outcome", of: []string{"factro_bridge_drained_total"}, values: strings.Fields("stored dead")},
	{name: "outcome", of: []string{"factro_bridge_reconcile_runs_total"}, values: strings.Fields("whole gap skipped failed")},
	{name: "outcome", of: []string{"factro_bridge_queries_mirror_total"}, values: strings.Fields("fresh stale waiting absent failed")},
	{name: "outcome", of: []string{"factro_bridge_mirror_reads_total"}, values: strings.Fields("changed stored unchanged early unknown failed")},
	{name: "outcome", of: []string{"factro_bridge_refused_total"}, values: strings.Fields("parked requeued original_lost")},
	{name: "store", of: []string{"factro_bridge_results_refused_total"}, values: strings.Fields("results ledger")},
	{name: "code", of: []string{"factro_bridge_commands_total"}, values: append([]string{""}, strings.Fields(resultCodes+" paused queued held")...)},
	{name: "code", of: []string{"factro_bridge_dead_letters_total"}, values: strings.Fields(resultCodes + " terminated unusable too_large")},
	{name: "kind", of: []string{"factro_bridge_files_unusable"}, values: strings.Fields(
		"api_key webhook_secret http_certificate http_client_ca nats_ca nats_certificate nats_creds nats_nkey nats_password")},
	{name: "kind", of: []string{"factro_bridge_dead_letters_total"}, values: strings.Fields("command webhook")},
	{
		name: "destination", words: "`factro.event.<cloud>`, `factro.result.<cloud>`, `factro.change.<cloud>`, `factro.dead.command` or `factro.dead.webhook`, with your `nats.prefix`",
		form: regexp.MustCompile(`^factro\.(event|result|change|dead)\.[a-z0-9-]+$`),
	},
	{name: "status", of: []string{"factro_bridge_api_calls_total"}, words: "the status of factro's answer, `0` if there was none", form: regexp.MustCompile(`^(0|[1-5]\d\d)$`)},
	{name: "status", of: []string{"factro_bridge_mirror_requests_total"}, values: strings.Fields("0xx 2xx 3xx 4xx 5xx")},
	{name: "status", of: []string{"factro_bridge_queries_total", "factro_bridge_query_duration_seconds"}, values: strings.Fields("2xx 4xx 5xx")},
	{name: "class", of: []string{"factro_bridge_api_budget_waiting"}, values: strings.Fields("commands mirror reconcile queries")},
	{name: "partition", of: []string{"factro_bridge_api_budget_partition"}, values: strings.Fields("key address unknown")},
	{name: "flow", values: strings.Fields("webhooks spool commands")},
	{name: "to", of: []string{"factro_bridge_replies_refused_total"}, values: strings.Fields("command query status cancel mirror")},
	{name: "what", of: []string{"factro_bridge_mirror_changes_total"}, values: []string{change.Created, change.Updated, change.Deleted}},
	{name: "origin", values: []string{change.OriginEvent, change.OriginSnapshot, change.OriginVerify}},
	{name: "factro_resource", values: factroapi.MirroredResources()},
	{name: "what", values: strings.Fields("action unlisted key")},
	{name: "role", values: fleetRoles},
	{name: "direction", values: []string{"commands", "webhooks-out", "queries", "mirror"}},
	{name: "state", of: []string{"factro_bridge_commands_lanes"}, values: strings.Fields("held waiting cut")},
	{name: "state", of: []string{"factro_bridge_connections"}, values: strings.Fields("kept stranger")},
	{name: "reason", of: []string{"factro_bridge_connections_dropped_total"}, values: strings.Fields(
		"evicted evicted_address refused expired flooded no_request http2 tls")},
	{name: "reason", of: []string{"factro_bridge_publish_duplicates_total"}, values: strings.Fields("retry repetition other_body unread")},
	{name: "reason", of: []string{"factro_bridge_webhooks_refused_total"}, values: strings.Fields(
		"secret_absent secret_twice secret_wrong secret_unusable throttled not_found unknown_cloud method redirected ambiguous " +
			"header_too_large too_large slow broken unsupported unusable panic overloaded not_stored")},
	{name: "factro_work", values: strings.Fields("commands reconcile mirror")},
	{name: "http_request_method", values: strings.Fields(methods)},
	{name: "http_response_status_code", words: "the status of the answer", form: regexp.MustCompile(`^[1-5]\d\d$`)},
	{name: "http_route", words: "`/webhooks/{cloud}`", form: regexp.MustCompile(`^/webhooks/\{cloud\}$`)},
	{name: "url_scheme", values: strings.Fields("http https")},
	{name: "network_protocol_name", values: strings.Fields("http")},
	{name: "network_protocol_version", words: "`1.1` or `2`", form: regexp.MustCompile(`^[12](\.[01])?$`)},
	{name: "server_address", words: "the host of `api.url`", form: regexp.MustCompile(`^[a-z0-9.-]+$`)},
	{name: "server_port", words: "the port of `api.url`", form: regexp.MustCompile(`^\d+$`)},
	{name: "error_type", words: "the status, or the kind of Go's error, if a call failed", form: regexp.MustCompile(`^[A-Za-z0-9_.*/]+$`)},
}

// docOf is what is said of a label of a metric.
func docOf(metric, label string) (labelDoc, bool) {
	i := slices.IndexFunc(labelDocs, func(d labelDoc) bool {
		return d.name == label && (len(d.of) == 0 || slices.Contains(d.of, metric))
	})
	if i < 0 {
		return labelDoc{}, false
	}
	return labelDocs[i], true
}

func (d labelDoc) fits(value string) bool {
	if d.form == nil {
		return slices.Contains(d.values, value)
	}
	if d.name == "factro_operation" && value != "unknown" {
		_, known := factroapi.Lookup(value)
		return known
	}
	return d.form.MatchString(value)
}

func (d labelDoc) String() string {
	if d.form != nil {
		return d.words
	}
	var out []string
	for _, v := range d.values {
		if v == "" {
			out = append(out, "empty")
			continue
		}
		out = append(out, "`"+v+"`")
	}
	return strings.Join(out, ", ")
}

// labelsFit wants each value of a label of ours to be one that the reference has.
func labelsFit(t testing.TB, all map[string]*family) {
	t.Helper()
	for _, name := range ownNames(all) {
		for _, label := range all[name].labelNames() {
			doc, known := docOf(name, label)
			if !known {
				t.Errorf("nobody says what the label %s of %s may hold", label, name)
				continue
			}
			for value := range all[name].labels[label] {
				if !doc.fits(value) {
					t.Errorf("%s has %s=%q, which the reference does not have", name, label, value)
				}
			}
		}
	}
}

const metricsIntro = `# Metrics

This page lists what a bridge exports at ` + "`/metrics`" + ` of its admin address, in the format of
Prometheus. ` + "`go generate`" + ` writes it from the exports of bridges of each role under all kinds of
traffic. No label holds an id, a subject or the address of a sender, so a hundred thousand tasks
have as many series as one.

With ` + "`OTEL_METRICS_EXPORTER=otlp`" + `, or an endpoint in ` + "`OTEL_EXPORTER_OTLP_ENDPOINT`" + `, the metrics are
sent as well, under their OpenTelemetry names: with dots for underscores, without the unit and
` + "`_total`" + `.

Dashboards and alerts that use them are in
[deploy/observability](../../deploy/observability/README.md).

| Metric | Type | Unit | Roles | Meaning | Labels |
|---|---|---|---|---|---|
`

// metricsReference writes the page.
func metricsReference(t testing.TB, all map[string]*family) []byte {
	t.Helper()
	labelsFit(t, all)
	var page bytes.Buffer
	page.WriteString(metricsIntro)
	for _, name := range ownNames(all) {
		f := all[name]
		if f.help == "" || f.kind == "" {
			t.Errorf("%s has no description", name)
		}
		labels := "none"
		if names := f.labelNames(); len(names) > 0 {
			labels = "`" + strings.Join(names, "`, `") + "`"
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s | %s |\n", name, f.kind, unitOf(f), rolesOf(f), f.help, labels)
	}
	page.WriteString("\nA histogram has the series `_bucket`, `_sum` and `_count`.\n")
	page.WriteString("\n## Labels\n\n| Label | Of | Values |\n|---|---|---|\n")
	for _, doc := range labelDocs {
		of := "all that have it"
		if len(doc.of) > 0 {
			of = "`" + strings.Join(doc.of, "`, `") + "`"
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", doc.name, of, doc)
	}
	var libraries []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if prefix, _, _ := strings.Cut(name, "_"); !all[name].isOwn() && !slices.Contains(libraries, prefix) {
			libraries = append(libraries, prefix)
		}
	}
	fmt.Fprintf(&page, `
## The process

Every role also exports what Prometheus's Go library measures of a process, %s, such as
%s, and %s, whose labels tell the version
(%s) and the host.
`, "`go_…` and `process_…`", "`process_resident_memory_bytes` and `process_start_time_seconds`", "`target_info`", "`service_version`")
	if want := []string{"go", "process", "target"}; !slices.Equal(libraries, want) {
		t.Errorf("there are metrics of %v, the reference tells of %v", libraries, want)
	}
	return page.Bytes()
}

// unitOf is what the values count.
func unitOf(f *family) string {
	name := strings.TrimSuffix(f.name, "_total")
	for _, unit := range []string{"seconds", "bytes"} {
		if strings.HasSuffix(name, "_"+unit) {
			return unit
		}
	}
	return "number"
}

func rolesOf(f *family) string {
	if len(f.roles) == len(fleetRoles) {
		return "all"
	}
	return strings.Join(f.roles, ", ")
}
