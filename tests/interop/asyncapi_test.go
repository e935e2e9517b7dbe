package interop

import (
	"slices"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Severities of the AsyncAPI parser's diagnostics; information and hints follow.
const asyncapiWarning = 1

// judge has the AsyncAPI parser read a document. It returns the diagnostics that are warnings or worse, and what the
// parser found in the document.
func judge(t *testing.T, document string) (bad []map[string]any, found map[string]any) {
	t.Helper()
	cmd, stdout, stderr := program(t, "node", "asyncapi.mjs")
	cmd.Dir, cmd.Stdin = "js", strings.NewReader(document)
	if err := cmd.Run(); err != nil {
		t.Fatalf("asyncapi.mjs: %v\n%s%s", err, stdout, stderr)
	}
	lines := objects(t, stdout.String())
	for _, d := range lines[:len(lines)-1] {
		if severity, ok := d["severity"].(float64); !ok || severity <= asyncapiWarning {
			bad = append(bad, d)
		}
	}
	return bad, lines[len(lines)-1]
}

// The AsyncAPI initiative's own parser has nothing to say about our document, and finds in it what it describes.
func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	needNode(t)
	cmd, document, stderr := program(t, bridgeBinary, "contract", "asyncapi")
	if err := cmd.Run(); err != nil {
		t.Fatalf("bridge contract asyncapi: %v\n%s", err, stderr)
	}
	bad, found := judge(t, document.String())
	for _, d := range bad {
		t.Errorf("%v", d)
	}
	// Each operation of the Core API is a command or a query, and has a channel of its own.
	least := float64(len(factro.Operations()))
	channels, _ := found["channels"].(float64)
	operations, _ := found["operations"].(float64)
	if channels < least || operations < least {
		t.Errorf("the parser found %v, want at least %v channels and operations", found, least)
	}
}

// So it does of the documents of single resources, which say the same.
func TestAsyncAPIByResource(t *testing.T) {
	t.Parallel()
	needNode(t)
	for _, resource := range []string{"task", "document", events.ResourceBridge} {
		cmd, document, stderr := program(t, bridgeBinary, "contract", "asyncapi", "--resource", resource)
		if err := cmd.Run(); err != nil {
			t.Fatalf("bridge contract asyncapi --resource %s: %v\n%s", resource, err, stderr)
		}
		bad, found := judge(t, document.String())
		for _, d := range bad {
			t.Errorf("%s: %v", resource, d)
		}
		least := 3.0 // of the bridge: two of gaps, and dead webhooks
		if resource != events.ResourceBridge {
			least = float64(len(slices.DeleteFunc(factro.Operations(), func(op factro.Operation) bool { return op.Resource != resource })))
		}
		if channels, _ := found["channels"].(float64); channels < least {
			t.Errorf("%s: the parser found %v, want at least %v channels", resource, found, least)
		}
	}
}

// The parser, as it is called here, does see mistakes.
func TestAsyncAPIParserSeesMistakes(t *testing.T) {
	t.Parallel()
	needNode(t)
	const sound = `
asyncapi: 3.0.0
info: {title: Probe, version: "1"}
channels:
  events: {address: "a.{id}", parameters: {id: {}}, messages: {event: {name: Ereignis}}}
operations:
  send: {action: send, channel: {$ref: "#/channels/events"}}
`
	if bad, found := judge(t, sound); len(bad) != 0 || found["channels"] != 1.0 || found["operations"] != 1.0 {
		t.Errorf("a sound document: found %v, and these mistakes: %v", found, bad)
	}
	broken := strings.NewReplacer("parameters: {id: {}}", "parameters: {nummer: {}}", "action: send", "action: sing").Replace(sound)
	bad, _ := judge(t, broken)
	for _, rule := range []string{"asyncapi3-channel-parameters", "asyncapi-document-resolved"} {
		if !slices.ContainsFunc(bad, func(d map[string]any) bool { return d["code"] == rule }) {
			t.Errorf("a broken document: %s is not among %v", rule, bad)
		}
	}
}
