package tenant

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/sim/setting"
)

// Variants select behavior that is not known outside factro. The zero value of each is the most likely behavior, or the less harmful
// one if nothing is known.
type Variants struct {
	// CreateStatus is the status of a create: 200 (the default) or 201.
	CreateStatus int
	// InvalidStatus is the status for invalid input: 400 (the default) or 422.
	InvalidStatus int
	// InvalidBody is the form of such a refusal, one of InvalidBodies; the first is the default.
	InvalidBody string
	// VoidBody answers operations without a promised body with 200 and a body instead of 204.
	VoidBody bool
	// NoRetryAfter leaves Retry-After out of a 429.
	NoRetryAfter bool
	// LimitByAddress counts the budget for each client address instead of each key.
	LimitByAddress bool
	// RetryAfterDate writes Retry-After of a 429 as a date instead of seconds.
	RetryAfterDate bool
	// NoRateLimit leaves the headers with the budget out of all answers.
	NoRateLimit bool
	// ResetDown rounds the seconds until the reset down instead of up.
	ResetDown bool
	// FreeFailures leaves requests that fail out of the budget.
	FreeFailures bool
	// Quota and Window replace those of the start, from the next request or window on. Zero keeps them.
	Quota  int
	Window time.Duration
	// StrangerShare is the part of the budget, from 0 to 1, that another program spends at random times, about StrangerBurst
	// requests at once.
	StrangerShare float64
	StrangerBurst int
	// ReverseBatches answers partial batches in reverse order.
	ReverseBatches bool
	// PartialStatus is the status of a batch with refused elements: 200 (the default), 207, 400 or 422.
	PartialStatus int
	// AtomicOrder is the order in which a batch that takes effect as a whole is answered, one of AtomicOrders; the first is the default.
	AtomicOrder string
	// AtomicAnswer is what its answer shows, one of AtomicAnswers; the first is the default.
	AtomicAnswer string
	// AtomicStatus is the status of its refusal: 0 for that of the element that is refused, or 400, 404, 409, 413 or 422.
	AtomicStatus int
	// AtomicMost is how many elements it may have; zero means no limit.
	AtomicMost int
	// AbsentNull omits properties that are null from answers.
	AbsentNull bool
	// MergeCustomFields keeps the custom fields that a PUT does not name. Otherwise the map is replaced as a whole.
	MergeCustomFields bool
	// PackageParentsOnly refuses a project's id as the parent of a new task.
	PackageParentsOnly bool
	// LowerCaseReasons writes the reasons of access rights in the form of a client from 2020.
	LowerCaseReasons bool
}

// InvalidBodies are the possible forms of a refusal.
var InvalidBodies = []string{"message", "error", "detail", "title", "errors", "violations", "details", "text"}

// What the answer of a batch may be that takes effect as a whole.
var (
	AtomicOrders  = []string{"sent", "reversed", "shuffled"}
	AtomicAnswers = []string{"whole", "ids", "short"}
)

// Settings are the variants by name.
func (v *Variants) Settings() []setting.Setting {
	return []setting.Setting{
		setting.Number("createStatus", &v.CreateStatus, "status of a create: 200 (default) or 201"),
		setting.Number("invalidStatus", &v.InvalidStatus, "status of refused input: 400 (default) or 422"),
		setting.Text("invalidBody", &v.InvalidBody, "form of refused input: "+strings.Join(InvalidBodies, ", ")+"; default message"),
		setting.Boolean("voidBody", &v.VoidBody, "void routes answer 200 with a body instead of 204"),
		setting.Boolean("noRetryAfter", &v.NoRetryAfter, "429 comes without Retry-After"),
		setting.Boolean("limitByAddress", &v.LimitByAddress, "budget for each client address instead of each key"),
		setting.Boolean("retryAfterDate", &v.RetryAfterDate, "Retry-After of a 429 is a date instead of seconds"),
		setting.Boolean("noRateLimit", &v.NoRateLimit, "answers come without the headers of the budget"),
		setting.Boolean("resetDown", &v.ResetDown, "seconds until the budget's reset are rounded down instead of up"),
		setting.Boolean("freeFailures", &v.FreeFailures, "requests that fail do not count"),
		setting.Number("quota", &v.Quota, "requests a window from now on; 0 keeps those of the start"),
		setting.Duration("window", &v.Window, "length of each new window, such as 10s; 0 keeps that of the start"),
		setting.Fraction("strangerShare", &v.StrangerShare, "part of the budget that another program spends at random, 0 to 1"),
		setting.Number("strangerBurst", &v.StrangerBurst, "about how many requests it makes at once; 0 means 1"),
		setting.Boolean("reverseBatches", &v.ReverseBatches, "partial batches answer in reverse order"),
		setting.Number("partialStatus", &v.PartialStatus, "status of a partly refused batch: 200 (default), 207, 400 or 422"),
		setting.Text("atomicOrder", &v.AtomicOrder, "order of the answer to a batch that takes effect as a whole: "+strings.Join(AtomicOrders, ", ")+"; default sent"),
		setting.Text("atomicAnswer", &v.AtomicAnswer, "what that answer shows: whole objects (default), their ids alone, or short: without the last one"),
		setting.Number("atomicStatus", &v.AtomicStatus, "status of a refused batch of that kind: 400, 404, 409, 413 or 422; default that of the refused element"),
		setting.Number("atomicMost", &v.AtomicMost, "largest batch of that kind, larger ones get 413; 0 means no limit"),
		setting.Boolean("absentNull", &v.AbsentNull, "null properties are absent from answers"),
		setting.Boolean("mergeCustomFields", &v.MergeCustomFields, "PUT keeps the custom fields it does not name"),
		setting.Boolean("packageParentsOnly", &v.PackageParentsOnly, "a new task's targetParentId must be a package"),
		setting.Boolean("lowerCaseReasons", &v.LowerCaseReasons, "access reasons begin with a lower-case letter"),
	}
}

// Set sets one variant from text, like a flag. After a mistake nothing has changed.
func (v *Variants) Set(name, value string) error {
	changed := *v
	if err := setting.Set(changed.Settings(), name, value); err != nil {
		return fmt.Errorf("variants: %w", err)
	}
	if err := changed.Validate(); err != nil {
		return err
	}
	*v = changed
	return nil
}

// Validate reports every value that is not allowed.
func (v Variants) Validate() error {
	var errs []error
	for _, c := range []struct {
		name    string
		value   int
		allowed []int
	}{
		{"createStatus", v.CreateStatus, []int{0, 200, 201}},
		{"invalidStatus", v.InvalidStatus, []int{0, 400, 422}},
		{"partialStatus", v.PartialStatus, []int{0, 200, 207, 400, 422}},
		{"atomicStatus", v.AtomicStatus, []int{0, 400, 404, 409, 413, 422}},
	} {
		if !slices.Contains(c.allowed, c.value) {
			errs = append(errs, fmt.Errorf("variants: %s %d is none of %v", c.name, c.value, c.allowed[1:]))
		}
	}
	if v.Quota < 0 || v.StrangerBurst < 0 || v.AtomicMost < 0 {
		errs = append(errs, fmt.Errorf("variants: quota %d, strangerBurst %d or atomicMost %d is negative", v.Quota, v.StrangerBurst, v.AtomicMost))
	}
	for name, c := range map[string]struct {
		value   string
		allowed []string
	}{"atomicOrder": {v.AtomicOrder, AtomicOrders}, "atomicAnswer": {v.AtomicAnswer, AtomicAnswers}} {
		if c.value != "" && !slices.Contains(c.allowed, c.value) {
			errs = append(errs, fmt.Errorf("variants: %s %q is none of %s", name, c.value, strings.Join(c.allowed, ", ")))
		}
	}
	if v.Window < 0 || v.Window%time.Second != 0 {
		errs = append(errs, fmt.Errorf("variants: window %v is not a number of whole seconds, which are all that the headers can express", v.Window))
	}
	if !(v.StrangerShare >= 0 && v.StrangerShare <= 1) {
		errs = append(errs, fmt.Errorf("variants: strangerShare %v is not a part from 0 to 1", v.StrangerShare))
	}
	if v.InvalidBody != "" && !slices.Contains(InvalidBodies, v.InvalidBody) {
		errs = append(errs, fmt.Errorf("variants: invalidBody %q is none of %s", v.InvalidBody, strings.Join(InvalidBodies, ", ")))
	}
	return errors.Join(errs...)
}

// MarshalJSON writes every variant under the name that Set takes.
func (v Variants) MarshalJSON() ([]byte, error) { return setting.JSON(v.Settings()) }

// UnmarshalJSON sets the given values and keeps the others.
func (v *Variants) UnmarshalJSON(data []byte) error {
	if err := setting.FromJSON(v.Settings(), data); err != nil {
		return fmt.Errorf("variants: %w", err)
	}
	return nil
}
