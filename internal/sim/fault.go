package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/setting"
)

// FaultKind is a kind of failure.
type FaultKind string

// The kinds of faults. Those named cut-… close the connection without an answer.
const (
	FaultLatency   FaultKind = "latency"     // the request waits for Delay, then goes on
	FaultRateLimit FaultKind = "rate-limit"  // 429 though there is budget left
	FaultError     FaultKind = "error"       // 5xx (Status, default 500) as text, nothing applied
	FaultHTML      FaultKind = "html"        // 502 (or Status) as an HTML page, nothing applied
	FaultCutBefore FaultKind = "cut-before"  // connection closed, nothing applied
	FaultCutAfter  FaultKind = "cut-after"   // change applied and webhooks fired, then connection closed
	FaultHTMLAfter FaultKind = "html-after"  // change applied and webhooks fired, then 502 (or Status) as HTML
	FaultExpired   FaultKind = "key-expired" // 401 as if the key had expired

	FaultUnavailable FaultKind = "unavailable" // 503 (or Status) with Retry-After, nothing applied
	FaultPage        FaultKind = "page"        // 200 as an HTML page, nothing applied
	FaultNothing     FaultKind = "nothing"     // 200 and an empty object, nothing applied
	FaultEmpty       FaultKind = "empty"       // 200 without a body, nothing applied
	FaultNoError     FaultKind = "error-200"   // 200 and an error as JSON, nothing applied
	FaultSwitch      FaultKind = "switch"      // 101, nothing applied
	FaultRedirect    FaultKind = "redirect"    // 302 to another path, nothing applied
	FaultEmptyAfter  FaultKind = "empty-after" // change applied, answered with the right status but without a body
	FaultCutJSON     FaultKind = "cut-json"    // change applied, the JSON of the answer ends too early
	FaultPageAfter   FaultKind = "page-after"  // change applied, 200 as an HTML page
	FaultEcho        FaultKind = "echo"        // 400 whose text repeats the request's API key, nothing applied
	FaultDate        FaultKind = "date"        // the answer is correct, but its Date is in 2100
)

type faultKind struct {
	kind  FaultKind
	after bool // the change is applied first
	doc   string
}

// faultKinds has all kinds of faults, with a description.
var faultKinds = []faultKind{
	{FaultLatency, false, "wait for delay, then go on"},
	{FaultRateLimit, false, "429, whatever the budget; retryAfter=none leaves the header out, retryAfter=7 sets it"},
	{FaultError, false, "5xx as text (status, default 500), nothing applied"},
	{FaultHTML, false, "502 (or status) as HTML, nothing applied"},
	{FaultExpired, false, "401 as for an expired key"},
	{FaultUnavailable, false, "503 (or status) as text with Retry-After, as retryAfter sets it, nothing applied"},
	{FaultPage, false, "200 as an HTML maintenance page, nothing applied"},
	{FaultNothing, false, "200 and {}, nothing applied"},
	{FaultEmpty, false, "200 without a body, nothing applied"},
	{FaultNoError, false, "200 and an error as JSON, nothing applied"},
	{FaultSwitch, false, "101 Switching Protocols, nothing applied"},
	{FaultRedirect, false, "302 to another path, nothing applied"},
	{FaultEcho, false, "400 that repeats the API key, plain and in base64, nothing applied"},
	{FaultCutBefore, false, "connection cut, nothing applied"},
	{FaultCutAfter, true, "change applied, webhooks fired, connection cut"},
	{FaultHTMLAfter, true, "change applied, webhooks fired, 502 (or status) as HTML"},
	{FaultPageAfter, true, "change applied, webhooks fired, 200 as an HTML page"},
	{FaultEmptyAfter, true, "change applied, webhooks fired, the right status without a body"},
	{FaultCutJSON, true, "change applied, webhooks fired, JSON that ends too early"},
	{FaultDate, true, "change applied, webhooks fired, the Date header is in the year 2100"},
}

// Fault is one failure, for the next Count requests, with a Probability, or both.
type Fault struct {
	Kind FaultKind
	// Operation limits the fault to one operation of the Core API, such as createTask; empty means every request.
	Operation string
	// Count is how many requests are hit before the fault ends. Zero means no limit.
	Count int
	// Probability is the probability of each request to be hit. Zero means 1.
	Probability float64
	// Delay is the latency. Other faults also wait this long before they answer.
	Delay time.Duration
	// Status replaces the fault's status.
	Status int
	// RetryAfter is the header of rate-limit and unavailable. Empty means the default, "none" means no header.
	RetryAfter string
}

// Faults are checked in order. The first one that hits decides; latencies add up.
type Faults []Fault

func (f *Fault) settings() []setting.Setting {
	return []setting.Setting{
		setting.Text("kind", (*string)(&f.Kind), "what goes wrong"),
		setting.Text("op", &f.Operation, "only this operation, such as createTask"),
		setting.Number("count", &f.Count, "how many requests are hit; 0 means no limit"),
		setting.Fraction("p", &f.Probability, "probability of each request to be hit; 0 means 1"),
		setting.Duration("delay", &f.Delay, "time before the answer, such as 200ms"),
		setting.Number("status", &f.Status, "status instead of the fault's own"),
		setting.Text("retryAfter", &f.RetryAfter, "Retry-After of a rate-limit or of unavailable: none, or the header's value"),
	}
}

// ParseFault reads a fault from text: its kind, then settings, as in "cut-after,op=createTask,count=3".
func ParseFault(spec string) (Fault, error) {
	var f Fault
	kind, rest, more := strings.Cut(spec, ",")
	f.Kind = FaultKind(strings.TrimSpace(kind))
	for more {
		var part string
		part, rest, more = strings.Cut(rest, ",")
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found {
			return Fault{}, fmt.Errorf("fault %q: %q is not of the form name=value", spec, part)
		}
		if err := setting.Set(f.settings(), name, value); err != nil {
			return Fault{}, fmt.Errorf("fault %q: %w", spec, err)
		}
	}
	if err := f.Validate(); err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", spec, err)
	}
	return f, nil
}

// Validate reports all mistakes at once.
func (f Fault) Validate() error {
	var errs []error
	if !slices.Contains(faultNames(), string(f.Kind)) {
		errs = append(errs, fmt.Errorf("unknown kind %q, known are %s", f.Kind, strings.Join(faultNames(), ", ")))
	}
	if f.Operation != "" {
		if _, known := factro.Lookup(f.Operation); !known {
			errs = append(errs, fmt.Errorf("unknown operation %q", f.Operation))
		}
	}
	if f.Count < 0 {
		errs = append(errs, fmt.Errorf("count %d is negative", f.Count))
	}
	if !(f.Probability >= 0 && f.Probability <= 1) {
		errs = append(errs, fmt.Errorf("p %v is not a probability from 0 to 1", f.Probability))
	}
	if f.Delay < 0 {
		errs = append(errs, fmt.Errorf("delay %v is negative", f.Delay))
	}
	if f.Kind == FaultLatency && f.Delay == 0 {
		errs = append(errs, errors.New("latency needs a delay"))
	}
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		errs = append(errs, fmt.Errorf("status %d is not one from 400 to 599", f.Status))
	}
	return errors.Join(errs...)
}

// Validate reports all mistakes of all faults.
func (fs Faults) Validate() error {
	var errs []error
	for i, f := range fs {
		if err := f.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("fault %d: %w", i+1, err))
		}
	}
	return errors.Join(errs...)
}

func faultNames() []string {
	out := make([]string, len(faultKinds))
	for i, k := range faultKinds {
		out[i] = string(k.kind)
	}
	return out
}

// MarshalJSON writes the fault under the names that ParseFault takes.
func (f Fault) MarshalJSON() ([]byte, error) { return setting.JSON(f.settings()) }

// UnmarshalJSON reads the same form.
func (f *Fault) UnmarshalJSON(data []byte) error { return setting.FromJSON(f.settings(), data) }
