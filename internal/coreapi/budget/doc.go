// Package budget shares the requests that factro allows between all that calls it in this process.
//
// In: claims, each of a class (command, mirror, reconciliation, query), the calls that are made with them, and the headers of
// factro's answers, which report its own count. Out: a request for each claim, as soon as it is due, when more requests will be
// there, and until when factro takes none.
//
// One Partition stands for what factro counts by, an API key or an address. It never makes a call, never repeats one, and keeps
// no API key in clear.
package budget
