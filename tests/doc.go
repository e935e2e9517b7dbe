// Package tests drives the whole bridge from outside: the built binary as its own process, against a real NATS server and
// the simulator of factro. What the simulator cannot show is how the real factro behaves where its behaviour is not
// known; there it plays the variants that are possible.
package tests

// The page of the metrics is what bridges export under traffic.
//go:generate go test -count=1 -run ^TestMetrics$ . -update
