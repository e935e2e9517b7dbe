package egress

import (
	"errors"
	"net/http"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// answer is what came of a call.
type answer struct {
	status int
	header http.Header
	body   []byte
	// err is set if there was no answer. unsent then tells that factro cannot have seen the request.
	err    error
	unsent bool
	// stale tells that a kept connection ended before a byte of the answer came: factro, or a proxy, had closed it just then.
	// Such a call was carried out hardly ever, but it may have been. It says nothing about the health of factro.
	stale bool
	// malformed is set if the status says success, but the rest is not in the form of the operation.
	malformed error
	// ours is what failed on our side of the call: the source of an upload, or the place for an answer. It says nothing
	// about factro.
	ours error
}

// judgement says what an answer means for the command.
type judgement int

const (
	done         judgement = iota // carried out
	refused                       // factro said no, and would again
	throttled                     // the request budget is used up; not carried out
	unauthorized                  // the key is not accepted; not carried out
	failed                        // certainly not carried out; another time perhaps
	unknown                       // carried out or not, nobody can tell
)

// judge is the one place that turns an answer into a judgement. It is total: whatever factro answers has a meaning.
func judge(op factro.Operation, a answer) judgement {
	switch {
	case a.err != nil && a.unsent:
		return failed
	case a.err != nil:
		return unknown
	case a.status >= 200 && a.status < 300 && a.malformed != nil:
		return unknown
	case a.status >= 200 && a.status < 300:
		return done
	case a.status == http.StatusUnauthorized:
		return unauthorized
	case a.status == http.StatusTooManyRequests:
		return throttled
	case a.status == http.StatusNotFound && op.Method == http.MethodDelete && !factro.IsUnknownRoute(a.status, a.header, a.body):
		return done // the object is gone, which is what the command wanted
	case a.status == http.StatusRequestTimeout, a.status >= 500, a.status < 400:
		// A gateway may answer 5xx for a call that factro has carried out. A redirect is no answer of the API's.
		return unknown
	}
	return refused
}

// healthy says whether an answer speaks for the health of factro: the breaker counts the others as failures.
func healthy(j judgement) bool { return j != failed && j != unknown }

// general says whether the failure of a query is one of factro and not of this very query: factro cannot be reached, or a
// gateway says that it cannot. Somebody who asks again and again for a list that is too slow, or that factro fails on,
// would otherwise have the breaker stop the commands.
func general(a answer) bool {
	if errors.Is(a.malformed, errPage) {
		return true // of maintenance, or to sign in
	}
	if a.status == 0 {
		return a.unsent || !errors.Is(a.err, errSilent)
	}
	return gateway(a.status)
}

// gateway says whether a status is one by which a gateway says that what is behind it cannot be reached.
func gateway(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}
