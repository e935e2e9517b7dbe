package contract

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// Version is the contract's version. It changes when the contract does: the last number for words, the one in the middle
// for additions, the first for what breaks a reader.
const Version = "3.2.0"

const componentsPrefix = "#/components/schemas/"

// AsyncAPI returns the contract of a bridge with that prefix as an AsyncAPI document, version 3.1.0, in YAML. Operations
// are described from the bridge's view: it sends events and results, and receives commands and queries.
//
// The schemas in it are of the subset that AsyncAPI's own dialect shares with draft 2020-12.
func AsyncAPI(prefix events.Prefix) ([]byte, error) { return documentOf(prefix, "") }

// AsyncAPIOf is AsyncAPI for what is about one resource, one of Resources. Each channel is in the document of a resource.
func AsyncAPIOf(prefix events.Prefix, resource string) ([]byte, error) {
	if all := Resources(); !slices.Contains(all, resource) {
		return nil, fmt.Errorf("asyncapi: there is no resource %q, want one of %s", resource, strings.Join(all, ", "))
	}
	return documentOf(prefix, resource)
}

// Resources returns the names of factro's resources and of the bridge's own, sorted.
func Resources() []string {
	all := []string{events.ResourceBridge}
	for _, op := range factro.Operations() {
		all = append(all, op.Resource)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// documentOf makes the document of a resource, or of all if that is "".
func documentOf(prefix events.Prefix, resource string) ([]byte, error) {
	if events.Token(string(prefix)) != string(prefix) {
		return nil, fmt.Errorf("asyncapi: the prefix %q is no token of a subject, want [a-z0-9][a-z0-9-]*", prefix)
	}
	d := document{prefix: prefix, resource: resource}
	for _, s := range topology.StreamsOf(prefix, "{cloud}") {
		d.streams = append(d.streams, streamOf(s))
	}
	if err := d.fill(); err != nil {
		return nil, fmt.Errorf("asyncapi: %w", err)
	}
	used, err := usageOf(d.channels, d.operations, d.messages)
	if err != nil {
		return nil, fmt.Errorf("asyncapi: %w", err)
	}
	text, err := ordered.YAML(ordered.Object{
		{"asyncapi", "3.1.0"},
		{"id", strings.TrimSuffix("urn:factro:bridge:"+resource, ":")},
		{"info", info(resource)},
		{"defaultContentType", "application/json"},
		{"servers", servers()},
		{"channels", d.channels},
		{"operations", d.operations},
		{"components", ordered.Object{
			{"parameters", used.of("parameters", componentParameters())},
			{"messages", d.messages},
			{"messageTraits", used.of("messageTraits", traits())},
			{"schemas", componentSchemas(used)},
			{"securitySchemes", securitySchemes()},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("asyncapi: %w", err)
	}
	return text, nil
}

func info(resource string) ordered.Object {
	title, tags, seen := "The bridge between factro and NATS JetStream", ordered.List{}, map[string]bool{}
	for _, op := range factro.Operations() {
		if !seen[op.Resource] && (resource == "" || resource == op.Resource) {
			seen[op.Resource] = true
			tags = append(tags, ordered.Object{{"name", op.Resource}})
		}
	}
	if resource != "" {
		title += ": " + resource
	}
	return ordered.Object{
		{"title", title},
		{"version", Version},
		{"description", "factro's webhooks become CloudEvents on JetStream subjects, commands published to subjects become calls to factro's " +
			"Core API, each answered with a result event, and queries are answered like requests. " +
			"What is known of factro is a reconstruction from public sources. x-confidence says how well a part is known: observed " +
			"(a public client proved it against the live service), documented (derived from the vendor's document), inferred (reasoned, never seen)."},
		{"contact", ordered.Object{{"name", "factro-bridge"}, {"url", "https://github.com/factro-bridge/factro-bridge"}}},
		{"license", ordered.Object{{"name", "Apache-2.0"}, {"url", "https://www.apache.org/licenses/LICENSE-2.0"}}},
		{"tags", tags},
	}
}

func servers() ordered.Object {
	security := ordered.List{}
	for _, m := range securitySchemes() {
		security = append(security, reference("#/components/securitySchemes/"+m.Key))
	}
	return ordered.Object{{"nats", ordered.Object{
		{"host", "{host}:{port}"},
		{"protocol", "nats"},
		{"description", "The NATS server that the bridge is connected to. JetStream has to be on."},
		{"variables", ordered.Object{
			{"host", ordered.Object{{"default", "127.0.0.1"}}},
			{"port", ordered.Object{{"default", "4222"}}},
		}},
		{"security", security},
	}}}
}

// securitySchemes are NATS's ways to prove oneself, as far as AsyncAPI has words for them.
func securitySchemes() ordered.Object {
	return ordered.Object{
		{"user", ordered.Object{{"type", "userPassword"}, {"description", "User and password, or a token."}}},
		{"creds", ordered.Object{{"type", "asymmetricEncryption"}, {"description", "A credentials file (a user's JWT and seed), or an nkey."}}},
		{"certificate", ordered.Object{{"type", "X509"}, {"description", "A client's certificate, by TLS."}}},
	}
}

func traits() ordered.Object {
	of := func(k kind, title string) ordered.Object {
		return ordered.Object{
			{"title", title},
			{"contentType", "application/json"},
			{"headers", headersOf(k)},
		}
	}
	correlation := func(attribute, doc string) ordered.Member {
		return ordered.Member{"correlationId", ordered.Object{{"location", "$message.header#/ce-" + attribute}, {"description", doc}}}
	}
	return ordered.Object{
		{"event", of(AnEvent, "A CloudEvent out of factro, in binary mode")},
		{"command", append(of(ACommand, "A CloudEvent in binary mode; structured mode and plain JSON without ce- headers will do, too"),
			correlation("id", "The causationid of its results."))},
		{"result", append(of(AResult, "A CloudEvent about a command, in binary mode"), correlation(attr.CausationID, "The id of its command."))},
	}
}

func componentParameters() ordered.Object {
	return ordered.Object{
		{"cloud", ordered.Object{{"description", "The configured name of a factro cloud."}, {"examples", ordered.List{ExampleCloud}}}},
		{"resource", ordered.Object{{"description", "What it is about: one of factro's resources in the singular."}, {"examples", ordered.List{"task", "project", "work-record"}}}},
		{"id", ordered.Object{
			{"description", "Id of the object that the body names, or _ if there is none that can be a token."},
			{"examples", ordered.List{exampleEntityID, "_"}},
		}},
		{"CLOUD", ordered.Object{{"description", "The configured name of a factro cloud, in capitals."}, {"examples", ordered.List{strings.ToUpper(ExampleCloud)}}}},
		{"what", ordered.Object{
			{"enum", ordered.List{change.Created, change.Updated, change.Deleted}},
			{"description", "What happened to the object."},
		}},
		{"action", ordered.Object{{"description", "factro's name of the action."}, {"examples", ordered.List{"TaskExecutorChanged", "TaskStateChanged"}}}},
		{"operation", ordered.Object{{"description", "The operation of the command's subject."}, {"examples", ordered.List{"createTask"}}}},
		{"outcome", ordered.Object{{"enum", schemas.OutcomeNames()}, {"description", schemas.OutcomeText()}}},
	}
}

func componentSchemas(used usage) ordered.Object {
	var direct ordered.List
	for _, name := range used["schemas"] {
		direct = append(direct, schemas.Ref(name))
	}
	o := ordered.Object{}
	for _, name := range schemas.Needed(direct, schemas.Component) {
		o = append(o, ordered.Member{name, schemas.Ordered(schemas.Component(name), componentsPrefix)})
	}
	return o
}

// streamOf is what a subscriber should know of a stream. AsyncAPI's binding for NATS has no words for JetStream.
func streamOf(s topology.StreamFacts) ordered.Inline {
	o := ordered.Object{
		{"stream", s.Name},
		{"subjects", s.Subjects},
		{"retention", s.Retention},
		{"discard", s.Discard},
		{"storage", s.Storage},
		{"duplicates", Span(s.Duplicates)},
	}
	if s.MaxAge > 0 {
		o = append(o, ordered.Member{"maxAge", Span(s.MaxAge)})
	}
	if s.MaxMessages > 0 {
		o = append(o, ordered.Member{"maxMessages", s.MaxMessages})
	}
	if s.MaxBytes > 0 {
		o = append(o, ordered.Member{"maxBytes", s.MaxBytes})
	}
	return ordered.Inline{Value: o}
}

// Span writes a duration as ISO 8601 does: whole days, or minutes.
func Span(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return fmt.Sprintf("P%dD", d/day)
	}
	return fmt.Sprintf("PT%dM", d/time.Minute)
}

// usage are the names of the components that a document refers to, by their kind.
type usage map[string][]string

var componentRef = regexp.MustCompile(`"#/components/(\w+)/([^"/]+)"`)

func usageOf(parts ...ordered.Object) (usage, error) {
	text, err := jsontext.Encode(parts)
	if err != nil {
		return nil, err
	}
	used := usage{}
	for _, m := range componentRef.FindAllSubmatch(text, -1) {
		if kind, name := string(m[1]), string(m[2]); !slices.Contains(used[kind], name) {
			used[kind] = append(used[kind], name)
		}
	}
	return used, nil
}

// of leaves those components of a kind that are referred to.
func (u usage) of(kind string, all ordered.Object) ordered.Object {
	return slices.DeleteFunc(all, func(m ordered.Member) bool { return !slices.Contains(u[kind], m.Key) })
}

func reference(to string) ordered.Inline { return ordered.Inline{Value: ordered.Object{{"$ref", to}}} }
