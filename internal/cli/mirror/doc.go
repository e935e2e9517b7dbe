// Package mirror has the commands about the copy of factro's objects: mirror, get and watch.
//
// In: flags and arguments. Out: lines for people or JSON, and exit codes. It reads the copy at NATS, and has the bridge compare it
// with factro. It never asks factro.
package mirror
