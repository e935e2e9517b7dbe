package ingress

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/connlimit"
	"github.com/factro-bridge/factro-bridge/internal/translate/content"
)

// answer is what a request gets. Its zero value says that nothing is decided yet.
type answer struct {
	status  int
	outcome string // for the metric
	why     string // more exactly, if outcome does not say it
	detail  string // of a problem, for the sender

	retryAfter time.Duration
	stranger   bool // it goes to somebody who has not shown a secret
	kept       bool // what came is durable: at the broker, in the spool or among the dead letters
	lost       bool // what came with a right secret is kept nowhere, through no fault of the sender's
}

// decided says whether a request has its answer, so that nothing more is done about it.
func (a answer) decided() bool { return a != answer{} }

// isProblem says whether a request is refused.
func (a answer) isProblem() bool { return a.status >= http.StatusBadRequest }

// write answers r. For the rest of a stranger's body it does not wait: net/http would read on before it answers, for as
// long as a good body may take. A stranger who reads no answers gets no more of them.
func (a answer) write(w http.ResponseWriter, r *http.Request) {
	if a.stranger {
		done, ok := connlimit.Of(r.Context()).Answering(w.Header())
		if !ok {
			panic(http.ErrAbortHandler)
		}
		defer done()
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(past) // what cannot do this has no slow senders
		}
	}
	if !a.isProblem() {
		w.WriteHeader(a.status)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if a.status == http.StatusUnsupportedMediaType {
		h.Set("Accept-Encoding", content.Encodings) // RFC 7694
	}
	if a.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((a.retryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(problem{http.StatusText(a.status), a.status, a.detail}) // the sender may be gone; there is nobody else to report it to
}

// problem is the body of an answer that refuses a request, by RFC 9457. The type is about:blank, so the title is that of the
// status.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// Answers to requests that are not refused.
var (
	accepted = answer{status: http.StatusAccepted, outcome: "stored", kept: true}
	spooled  = answer{status: http.StatusAccepted, outcome: "spooled", kept: true}
	probe    = answer{status: http.StatusNoContent, outcome: "probe", stranger: true} // factro, or a balancer, may check whether somebody is here
	empty    = answer{status: http.StatusNoContent, outcome: "empty"}                 // with a right secret
)

// Answers to requests that are refused.
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

func refuse(status int, outcome, detail string) answer {
	return answer{status: status, outcome: outcome, detail: detail}
}

func (a answer) toStranger() answer { a.stranger = true; return a }

func (a answer) andLost() answer { a.lost = true; return a }

func (a answer) andKept() answer { a.kept = true; return a }

func (a answer) because(detail string) answer { a.detail = detail; return a }

func (a answer) since(why string) answer { a.why = why; return a }

func (a answer) after(d time.Duration) answer { a.retryAfter = d; return a }

// reason is why a request is refused, for the metric and the log.
func (a answer) reason() string {
	if a.why != "" {
		return a.why
	}
	return a.outcome
}
