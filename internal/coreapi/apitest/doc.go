// Package apitest plays factro for the tests of the packages that call the Core API.
//
// In: a script that answers each request. Out: an http.RoundTripper that answers by the script, and a diary of the calls.
//
// It never opens a connection, and no program imports it.
package apitest
