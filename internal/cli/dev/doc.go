// Package dev has the commands that run the bridge without factro: dev, which runs everything in one process, and sim, which runs only
// the simulator.
//
// In: addresses to listen on. Out: a running NATS server, simulator and bridge, one round trip through them, and lines about what
// happens. It writes only its own files and removes them.
package dev
