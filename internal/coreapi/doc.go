// Package coreapi is the client of the Core API of one factro cloud, which its commands, queries and reconciliation share.
//
// In: calls, and who makes them: a command, a query, or a read of the stored payloads. Out: answers, each with a judgement
// of what it means. It paces the calls with commands first, stops calling while factro fails, throttles or refuses the key,
// and finds out by a cheap read when factro is well again.
//
// It never repeats a call, never follows a redirect, and never lets a secret out in an answer or an error.
package coreapi
