package natstest

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/tests/freeport"
)

// Server is a NATS server with JetStream that can stop and start again. It keeps its port and its store.
type Server struct {
	// Options are what the next Start uses.
	Options server.Options
	// Running is the server, or nil while it is stopped.
	Running *server.Server

	t testing.TB
}

// anyDisk is the storage limit of a server that has none of its own. Without a limit a server takes three quarters of what is
// free on the disk, and reserves the size limits of its streams from that: what a test sees would depend on the machine.
const anyDisk = 1 << 50

// Start starts a server that ends with the test.
func Start(t testing.TB, change ...func(*server.Options)) *Server {
	t.Helper()
	s := New(t, change...)
	s.Start()
	return s
}

// New returns a server that is not started yet. It ends with the test.
func New(t testing.TB, change ...func(*server.Options)) *Server {
	t.Helper()
	port, err := freeport.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, Options: server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true, JetStreamMaxStore: anyDisk,
	}}
	for _, c := range change {
		c(&s.Options)
	}
	t.Cleanup(s.Stop)
	return s
}

// StartConfig starts a server with a configuration file, which ends with the test. The file says whether there is JetStream, and
// where it stores.
func StartConfig(t testing.TB, file string, change ...func(*server.Options)) *Server {
	t.Helper()
	configured, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return Start(t, append([]func(*server.Options){func(o *server.Options) {
		configured.Host, configured.Port, configured.NoLog, configured.NoSigs = o.Host, o.Port, o.NoLog, o.NoSigs
		if configured.JetStreamMaxStore <= 0 {
			configured.JetStreamMaxStore = anyDisk
		}
		*o = *configured
	}}, change...)...)
}

// Start starts the server and waits until it takes connections.
func (s *Server) Start() {
	s.t.Helper()
	running, err := server.NewServer(s.Options.Clone())
	if err != nil {
		s.t.Fatal(err)
	}
	running.Start()
	if !running.ReadyForConnections(Patience) {
		running.Shutdown()
		s.t.Fatal("the NATS server is not ready")
	}
	s.Running = running
}

// Stop stops the server and waits for its end. A stopped server stays stopped.
func (s *Server) Stop() {
	if s.Running != nil {
		s.Running.Shutdown()
		s.Running.WaitForShutdown()
		s.Running = nil
	}
}

// Restart stops the server and starts it again.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.Start()
}

// URL is the address of the server, also while it is stopped.
func (s *Server) URL() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.Options.Port) }

// Connect connects a client of the test's own. It reconnects, and ends with the test.
func (s *Server) Connect(t testing.TB, options ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	return connect(t, s.URL(), options...)
}

func connect(t testing.TB, url string, options ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(url, append([]nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}
