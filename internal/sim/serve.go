package sim

import (
	"cmp"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

const unauthorized = "Invalid CoreApiAccessToken provided!"

// responseRecorder records the answer to one request for the log.
type responseRecorder struct {
	http.ResponseWriter
	status      int
	applied     bool
	answerFault FaultKind // a fault that changes the answer
}

// changesOwnAnswer says whether the fault changes the operation's own answer, instead of replacing it.
func (a *responseRecorder) changesOwnAnswer() bool {
	return a.answerFault == FaultEmptyAfter || a.answerFault == FaultCutJSON || a.answerFault == FaultDate
}

func (a *responseRecorder) WriteHeader(status int) {
	a.status = status
	if a.answerFault == FaultDate {
		a.Header().Set("Date", "Fri, 01 Jan 2100 00:00:00 GMT")
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write writes the part of the body that the fault leaves.
func (a *responseRecorder) Write(body []byte) (int, error) {
	rest := body
	if a.answerFault == FaultEmptyAfter {
		rest = nil
	}
	if a.answerFault == FaultCutJSON {
		rest = body[:len(body)/2]
	}
	if _, err := a.ResponseWriter.Write(rest); err != nil {
		return 0, err
	}
	return len(body), nil
}

// serveCore answers one request to the Core API. The budget comes first, because every answer has its headers. Then come faults, key,
// route, validation, and finally the operation itself.
func (s *Sim) serveCore(w http.ResponseWriter, r *http.Request, path string) {
	started, out := s.cfg.Now(), &responseRecorder{ResponseWriter: w}
	op, params, found := s.router.match(r.Method, path)
	drawn := s.drawFault(op.Name)
	var b budget
	defer func() {
		if out.status >= http.StatusBadRequest {
			b.forgive()
		}
		s.requests.Add(Request{
			Time: started, Method: r.Method, Path: path, Operation: op.Name, Status: out.status, Applied: out.applied,
			Fault: drawn.fault.Kind,
		})
	}()

	s.mu.Lock()
	key, variants := s.key, s.variants
	s.mu.Unlock()
	b = s.limiter.take(partition(r, variants), started)
	b.setHeaders(out.Header())
	out.Header().Set("Date", started.UTC().Format(http.TimeFormat)) // otherwise the server writes its own
	if !wait(r, drawn.wait) {
		panic(http.ErrAbortHandler)
	}
	switch {
	case drawn.fault.Kind == FaultEcho:
		key := r.Header.Get("Authorization")
		writeText(out, http.StatusBadRequest, "Invalid request, with Authorization: "+key+", "+base64.StdEncoding.EncodeToString([]byte(key)))
	case drawn.fault.Kind != "" && !drawn.after():
		writeFault(out, drawn.fault, b, variants)
	case b.exceeded:
		writeLimited(out, b, variants, "")
	case key == "" || r.Header.Get("Authorization") != key:
		writeText(out, http.StatusUnauthorized, unauthorized)
	case !found:
		writeHTML(out, http.StatusNotFound, "Error", "Cannot "+r.Method+" /core"+path)
	default:
		out.answerFault = drawn.fault.Kind
		s.serveOperation(out, r, op, params, func(v Variants) bool {
			spoils := drawn.after() && !out.changesOwnAnswer()
			if spoils {
				writeFault(out, drawn.fault, b, v)
			}
			return spoils
		})
	}
}

// wait waits for the latency of a fault. If the client gives up, it returns false early, and nothing is applied.
func wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// partition is the client that a budget belongs to. It is not known whether factro counts by key or by address.
func partition(r *http.Request, v Variants) string {
	if v.LimitByAddress {
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
			return host
		}
		return r.RemoteAddr
	}
	return r.Header.Get("Authorization")
}

// maxBody limits a request's body, including uploads.
const maxBody = 64 << 20

// serveOperation validates and carries out one operation. spoiled is called after the change, and may write an answer instead of the
// operation.
func (s *Sim) serveOperation(w *responseRecorder, r *http.Request, op factro.Operation, params map[string]string, spoiled func(Variants) bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.writeError(w, r, tenant.Invalid("", "read body: %v", err))
		return
	}
	c, err := tenant.Read(r, op, params, body)
	if err != nil {
		s.writeError(w, r, refusalBy(op, err))
		return
	}
	done, variants, err := s.apply(c)
	w.applied = err == nil
	if spoiled(variants) {
		return
	}
	if err != nil {
		s.writeError(w, r, refusalBy(op, err))
		return
	}
	writeAnswer(w, op, done, variants)
}

// refusalBy marks the refusal of a list that takes effect as a whole.
func refusalBy(op factro.Operation, err error) error {
	if refused, ok := errors.AsType[*tenant.RefusalError](err); ok {
		refused.Whole = op.Batch == factro.BatchAtomic
	}
	return err
}

// apply runs the operation under the lock and fires its events if it succeeds. Firing only queues the events. It is under the lock, so
// that events have the order of the changes.
func (s *Sim) apply(c *tenant.Call) (tenant.Result, Variants, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done, err := s.tenant.Do(c, tenant.Env{Variants: s.variants, ReadableAfter: s.delivery.ReadableAfter, Keep: s.journal.changes})
	if err == nil && !s.delivery.Silent {
		s.courier.Fire(done.Events)
	}
	return done, s.variants, err
}

// writeError is the only place that turns an error into an answer.
func (s *Sim) writeError(w http.ResponseWriter, r *http.Request, err error) {
	s.mu.Lock()
	variants := s.variants
	s.mu.Unlock()
	if refused, ok := errors.AsType[*tenant.RefusalError](err); ok {
		writeRefusal(w, refused, variants)
		return
	}
	s.log.ErrorContext(r.Context(), "simulator failed", "error", err)
	writeText(w, http.StatusInternalServerError, "Internal Server Error")
}

// writeAnswer sends a successful answer with the status of its operation.
func writeAnswer(w http.ResponseWriter, op factro.Operation, done tenant.Result, v Variants) {
	status, body := http.StatusOK, done.Answer
	switch {
	case done.Status != 0:
		status = done.Status
	case op.Answer == factro.AnswerVoid && !v.VoidBody:
		w.WriteHeader(http.StatusNoContent)
		return
	case body == nil:
		body = map[string]any{}
	case op.Creates() && op.Answer != factro.AnswerVoid:
		status = cmp.Or(v.CreateStatus, http.StatusOK)
	}
	writeJSON(w, status, body)
}
