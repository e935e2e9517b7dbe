// Package freeport chooses ports for the servers of tests that go away and come back.
//
// The port that the system chooses for a listener is one of those that it also gives to outgoing connections. While the
// server is away one of them may take it: another test's, or that of the client itself, which then is connected to itself.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
)

// Linux, macOS and Windows begin outgoing connections above these.
const (
	first = 10_000
	count = 20_000
)

var last atomic.Uint32

// start is somewhere: tests of other packages run beside these.
var start = rand.Uint32N(count)

// New returns a port of the loopback where nobody listens, another one at each call.
func New() (int, error) {
	var err error
	for range 100 {
		port := first + int((start+last.Add(1))%count)
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port: %w", err)
}
