package coreapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/shape"
	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// Answer is the outcome of a call.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Err is set if there was no answer. unsent then tells that factro cannot have seen the request.
	Err    error
	Unsent bool
	// Stale tells that a kept connection ended before a byte of the answer came: factro, or a proxy, had closed it just then.
	// Such a call was carried out hardly ever, but it may have been. It says nothing about the health of factro.
	Stale bool
	// Late tells that the call failed, and lasted longer than its timeout allows: this process stood still, or hardly got the
	// processor. What its calls met meanwhile says nothing about the health of factro.
	Late bool
	// Took is how long the call lasted, 0 if none was made.
	Took time.Duration
	// Malformed is set if the status says success, but the rest is not in the form of the operation.
	Malformed error
	// Ours is what failed on our side of the call: the source of an upload, or the place for an answer. It says nothing
	// about factro.
	Ours error
}

// Judgement says what an answer means for the command.
type Judgement int

const (
	Done         Judgement = iota // carried out
	Refused                       // factro said no, and would again
	Throttled                     // the request budget is used up; not carried out
	Unauthorized                  // the key is not accepted; not carried out
	Failed                        // certainly not carried out; another time perhaps
	Unknown                       // carried out or not, nobody can tell
)

// judge is the one place that turns an answer into a judgement. It is total: whatever factro answers has a meaning.
func judge(op factro.Operation, a Answer) Judgement {
	switch {
	case a.Err != nil && a.Unsent:
		return Failed
	case a.Err != nil:
		return Unknown
	case a.Status >= 200 && a.Status < 300 && a.Malformed != nil:
		return Unknown
	case a.Status >= 200 && a.Status < 300:
		return Done
	case a.Status == http.StatusUnauthorized:
		return Unauthorized
	case a.Status == http.StatusTooManyRequests:
		return Throttled
	case a.Status == http.StatusNotFound && op.Method == http.MethodDelete && !factro.IsUnknownRoute(a.Status, a.Header, a.Body):
		return Done // the object is gone, which is what the command wanted
	case a.Status == http.StatusRequestTimeout, a.Status >= 500, a.Status < 400:
		// A gateway may answer 5xx for a call that factro has carried out. A redirect is no answer of the API's.
		return Unknown
	}
	return Refused
}

// healthy says whether an answer speaks for the health of factro: the breaker counts the others as failures.
func healthy(j Judgement) bool { return j != Failed && j != Unknown }

// General says whether the failure of a query is one of factro and not of this very query: factro cannot be reached, or a
// gateway says that it cannot. Somebody who asks again and again for a list that is too slow, or that factro fails on,
// would otherwise have the breaker stop the commands.
func (a Answer) General() bool {
	if errors.Is(a.Malformed, shape.ErrPage) {
		return true // of maintenance, or to sign in
	}
	if a.Status == 0 {
		return a.Unsent || !a.Silent()
	}
	return gateway(a.Status)
}

// gateway says whether a status is one by which a gateway says that what is behind it cannot be reached.
func gateway(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// SaysMade says whether an answer without a body says by its status alone that a create has happened.
func (a Answer) SaysMade() bool {
	return a.Empty() && (a.Status == http.StatusCreated || a.Status == http.StatusNoContent)
}
