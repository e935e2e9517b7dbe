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

// answered is what one request came to, for the log.
type answered struct {
	http.ResponseWriter
	status  int
	applied bool
	spoil   FaultKind // a fault of the answer itself
}

// spoilsItself says whether the fault changes the operation's own answer.
func (a *answered) spoilsItself() bool {
	return a.spoil == FaultEmptyAfter || a.spoil == FaultCutJSON || a.spoil == FaultDate
}

func (a *answered) WriteHeader(status int) {
	a.status = status
	if a.spoil == FaultDate {
		a.Header().Set("Date", "Fri, 01 Jan 2100 00:00:00 GMT")
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write passes on as much of a body as the fault leaves of it.
func (a *answered) Write(body []byte) (int, error) {
	rest := body
	if a.spoil == FaultEmptyAfter {
		rest = nil
	}
	if a.spoil == FaultCutJSON {
		rest = body[:len(body)/2]
	}
	if _, err := a.ResponseWriter.Write(rest); err != nil {
		return 0, err
	}
	return len(body), nil
}

// serveCore answers one request to the Core API: the budget first, because its headers stand on every answer, then
// faults, key, route, the description, and last the operation itself.
func (s *Sim) serveCore(w http.ResponseWriter, r *http.Request, path string) {
	started, out := s.cfg.Now(), &answered{ResponseWriter: w}
	op, params, found := s.router.match(r.Method, path)
	fate := s.decide(op.Name)
	defer func() {
		s.requests.Add(Request{
			Time: started, Method: r.Method, Path: path, Operation: op.Name, Status: out.status, Applied: out.applied,
			Fault: fate.fault.Kind,
		})
	}()

	s.mu.Lock()
	key, variants := s.key, s.variants
	s.mu.Unlock()
	b := s.limiter.take(partition(r, variants), started)
	b.setHeaders(out.Header())
	out.Header().Set("Date", started.UTC().Format(http.TimeFormat)) // or the server would write its own
	if !wait(r, fate.wait) {
		panic(http.ErrAbortHandler)
	}
	switch {
	case fate.fault.Kind == FaultEcho:
		key := r.Header.Get("Authorization")
		writeText(out, http.StatusBadRequest, "Invalid request, with Authorization: "+key+", "+base64.StdEncoding.EncodeToString([]byte(key)))
	case fate.fault.Kind != "" && !fate.after():
		writeFault(out, fate.fault, b, variants)
	case b.exceeded:
		writeLimited(out, b, variants, "")
	case key == "" || r.Header.Get("Authorization") != key:
		writeText(out, http.StatusUnauthorized, unauthorized)
	case !found:
		writeHTML(out, http.StatusNotFound, "Error", "Cannot "+r.Method+" /core"+path)
	default:
		out.spoil = fate.fault.Kind
		s.serveOperation(out, r, op, params, func(v Variants) bool {
			spoils := fate.after() && !out.spoilsItself()
			if spoils {
				writeFault(out, fate.fault, b, v)
			}
			return spoils
		})
	}
}

// wait is the latency of a fault. It ends early, and false, if the client gives up: then nothing is applied.
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

// partition is who has a budget of their own. It is not known whether factro counts by key or by address.
func partition(r *http.Request, v Variants) string {
	if v.LimitByAddress {
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
			return host
		}
		return r.RemoteAddr
	}
	return r.Header.Get("Authorization")
}

// maxBody bounds a request's body, uploads included.
const maxBody = 64 << 20

// serveOperation checks and does one operation. spoiled, called after the change, may answer in place of the operation.
func (s *Sim) serveOperation(w *answered, r *http.Request, op factro.Operation, params map[string]string, spoiled func(Variants) bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.writeError(w, r, tenant.Invalid("", "read body: %v", err))
		return
	}
	c, err := tenant.Read(r, op, params, body)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	done, variants, err := s.apply(c)
	w.applied = err == nil
	if spoiled(variants) {
		return
	}
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	writeAnswer(w, op, done, variants)
}

// apply runs the operation under the lock and fires its events if it succeeds. Firing only queues: it stands under the
// lock so that events leave in the order of the changes.
func (s *Sim) apply(c *tenant.Call) (tenant.Result, Variants, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done, err := s.tenant.Do(c, tenant.Env{Variants: s.variants, ReadableAfter: s.delivery.ReadableAfter, Keep: s.journal.changes})
	if err == nil && !s.delivery.Silent {
		s.courier.Fire(done.Events)
	}
	return done, s.variants, err
}

// writeError turns an error into the answer: the one place that does.
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

// writeAnswer sends a good answer with the status that fits its operation.
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
