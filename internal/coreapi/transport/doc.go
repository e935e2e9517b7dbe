// Package transport is the HTTP client for the Core API, which protects what goes out and what comes back.
//
// In: requests, each with the call that it belongs to. Out: answers as UTF-8, with the few headers that somebody reads. A redirect
// is an answer and is not followed. A call ends with its context, whatever the server does. Connections are kept for a short
// time, and a create that cannot be looked for has its own. Each call is measured, and has a span if its trace is sampled.
//
// It never lets a secret of ours into an answer, an error or a span, and does not judge what an answer means.
package transport
