package sim

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// activeFault is a fault and the number of requests that it still hits; negative means no limit.
type activeFault struct {
	fault Fault
	left  int
}

func activate(fs Faults) []activeFault {
	out := make([]activeFault, len(fs))
	for i, f := range fs {
		out[i] = activeFault{f, f.Count}
		if f.Count == 0 {
			out[i].left = -1
		}
	}
	return out
}

// faultDecision is what the faults do to one request.
type faultDecision struct {
	wait  time.Duration
	fault Fault // zero Kind: none
}

func (f faultDecision) after() bool {
	return slices.ContainsFunc(faultKinds, func(k faultKind) bool { return k.kind == f.fault.Kind && k.after })
}

// drawFault chooses the faults for one request at random, and removes faults that are used up.
func (s *Sim) drawFault(operation string) faultDecision {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out faultDecision
	for i := range s.faults {
		a := &s.faults[i]
		latency := a.fault.Kind == FaultLatency
		if a.left == 0 || a.fault.Operation != "" && a.fault.Operation != operation || !latency && out.fault.Kind != "" {
			continue
		}
		if a.fault.Probability > 0 && !s.random.Happens(a.fault.Probability) {
			continue
		}
		if a.left > 0 {
			a.left--
		}
		out.wait += a.fault.Delay
		if !latency {
			out.fault = a.fault
		}
	}
	s.faults = slices.DeleteFunc(s.faults, func(a activeFault) bool { return a.left == 0 })
	return out
}

// activeFaults lists the faults with their remaining counts.
func (s *Sim) activeFaults() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(Faults, len(s.faults))
	for i, a := range s.faults {
		out[i] = a.fault
		out[i].Count = max(a.left, 0)
	}
	return out
}

// writeFault writes the answer of a fault. A cut connection has no answer: the server closes it without a byte.
func writeFault(w http.ResponseWriter, f Fault, b budget, v Variants) {
	switch f.Kind {
	case FaultRateLimit:
		writeLimited(w, b, v, f.RetryAfter)
	case FaultError:
		status := cmp.Or(f.Status, http.StatusInternalServerError)
		writeText(w, status, http.StatusText(status))
	case FaultHTML, FaultHTMLAfter:
		status := cmp.Or(f.Status, http.StatusBadGateway)
		title := strconv.Itoa(status) + " " + http.StatusText(status)
		writeHTML(w, status, title, title)
	case FaultExpired:
		writeText(w, http.StatusUnauthorized, unauthorized)
	case FaultUnavailable:
		if f.RetryAfter != "none" {
			w.Header().Set("Retry-After", cmp.Or(f.RetryAfter, "1"))
		}
		status := cmp.Or(f.Status, http.StatusServiceUnavailable)
		writeText(w, status, http.StatusText(status))
	case FaultPage, FaultPageAfter:
		writeHTML(w, http.StatusOK, "Wartung", "factro ist gleich wieder da")
	case FaultNothing:
		writeJSON(w, http.StatusOK, map[string]any{})
	case FaultNoError:
		writeJSON(w, http.StatusOK, map[string]any{"error": "Session expired"})
	case FaultEmpty:
		w.WriteHeader(http.StatusOK)
	case FaultSwitch:
		w.Header().Set("Upgrade", "sim")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
	case FaultRedirect:
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
	case FaultCutBefore, FaultCutAfter:
		panic(http.ErrAbortHandler)
	case FaultEcho, FaultEmptyAfter, FaultCutJSON, FaultDate: // need the request or its answer; see serve.go
	case FaultLatency: // the wait is over; the request goes on
	}
}

// writeLimited is the 429. Whether factro sends Retry-After is not known.
func writeLimited(w http.ResponseWriter, b budget, v Variants, retryAfter string) {
	if retryAfter == "" && !v.NoRetryAfter {
		retryAfter = b.retryAfter()
	}
	if retryAfter != "" && retryAfter != "none" {
		w.Header().Set("Retry-After", retryAfter)
	}
	writeText(w, http.StatusTooManyRequests, "Rate limit exceeded")
}
