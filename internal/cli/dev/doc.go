// Package dev has the commands that try the bridge without factro: dev, which runs everything in one process, and sim, which runs
// the simulator alone.
//
// In: addresses to listen on. Out: a running NATS server, simulator and bridge, one round trip through them, and lines about what
// happens. It writes only files of its own and removes them.
package dev
