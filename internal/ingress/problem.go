package ingress

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/connlimit"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// problem is an answer by RFC 9457.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`

	retryAfter time.Duration
	code       string // for the metric
	why        string // what of it, if code does not tell
	stranger   bool   // it answers somebody who has not shown a secret
	kept       bool   // what came is kept nevertheless, among the dead letters
	lost       bool   // what came with a right secret is kept nowhere, through no fault of the sender's
}

// write answers r. For the rest of a stranger's body it does not wait: net/http would read on before it answers, for as
// long as a good body may take. A stranger who reads no answers gets no more of them.
func (p problem) write(w http.ResponseWriter, r *http.Request) {
	if p.stranger || p == harmless {
		done, ok := connlimit.Of(r.Context()).Answering(w.Header())
		if !ok {
			panic(http.ErrAbortHandler)
		}
		defer done()
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(past) // what cannot do this has no slow senders
		}
	}
	if p.Status < http.StatusBadRequest {
		w.WriteHeader(p.Status)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.Status == http.StatusUnsupportedMediaType {
		h.Set("Accept-Encoding", translate.Encodings) // RFC 7694
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the sender may be gone; there is nobody else to tell
}

// The answers that are no success. The type is about:blank, so the title is that of the status.
var (
	nothingHere  = refuse(http.StatusNotFound, "not_found", "webhooks are taken at /webhooks/{cloud}").toStranger()
	largeHeader  = refuse(http.StatusRequestHeaderFieldsTooLarge, "header_too_large", "the header is larger than http.max_header allows").toStranger()
	unknownCloud = refuse(http.StatusNotFound, "unknown_cloud", "no factro cloud of this name is configured").toStranger()
	wrongMethod  = refuse(http.StatusMethodNotAllowed, "method", "webhooks are delivered by POST").toStranger()
	ambiguous    = refuse(http.StatusBadRequest, "ambiguous", "the request has both Content-Length and Transfer-Encoding").toStranger()
	noSecret     = refuse(http.StatusServiceUnavailable, "no_secret", "the bridge has no secret to compare with; its log says which file it cannot read").toStranger().after(10 * time.Second)
	wrongSecret  = refuse(http.StatusUnauthorized, "secret", "the authentication header is missing or its value is wrong").toStranger()
	tooManyWrong = refuse(http.StatusTooManyRequests, "throttled", "too many wrong secrets from this address").toStranger()
	redirected   = refuse(http.StatusMethodNotAllowed, "redirected", "webhooks are delivered by POST; a redirect may have made another method of it")
	tooLarge     = refuse(http.StatusRequestEntityTooLarge, "too_large", "")
	slowBody     = refuse(http.StatusRequestTimeout, "slow", "the body did not arrive in time")
	brokenBody   = refuse(http.StatusBadRequest, "broken", "the body ended before its announced length")
	unsupported  = refuse(http.StatusUnsupportedMediaType, "unsupported", "").andKept()
	unusable     = refuse(http.StatusBadRequest, "unusable", "").andKept()
	ourMistake   = refuse(http.StatusInternalServerError, "panic", "the bridge made a mistake").andLost()
	overloaded   = refuse(http.StatusServiceUnavailable, "overloaded", "too many webhooks at once").andLost()
	notStored    = refuse(http.StatusServiceUnavailable, "not_stored", "the event could not be stored").andLost()
)

// Answers that are no problem.
var (
	accepted = problem{Status: http.StatusAccepted, code: "stored"}
	spooled  = problem{Status: http.StatusAccepted, code: "spooled"}
	harmless = problem{Status: http.StatusNoContent, code: "probe"}
	empty    = problem{Status: http.StatusNoContent, code: "empty"} // with a right secret
)

// keeps says whether the answer promises that the store has what came.
func (p problem) keeps() bool { return p == accepted || p == spooled || p.kept }

func refuse(status int, code, detail string) problem {
	return problem{Title: http.StatusText(status), Status: status, Detail: detail, code: code}
}

func (p problem) toStranger() problem { p.stranger = true; return p }

func (p problem) andLost() problem { p.lost = true; return p }

func (p problem) andKept() problem { p.kept = true; return p }

func (p problem) because(detail string) problem { p.Detail = detail; return p }

func (p problem) after(d time.Duration) problem { p.retryAfter = d; return p }
