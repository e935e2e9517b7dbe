// Package budget shares the requests that factro allows between the commands and the queries of a cloud.
//
// In: the budget that we allow ourselves, and the headers of factro's answers, which report factro's own. Out: a request for a
// command as soon as there is one, a request for a query when commands can spare one, and until when factro takes none.
//
// It makes no calls, and never has a command wait because of a query.
package budget
