package bus

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ServerConfig is for a NATS server inside this process.
type ServerConfig struct {
	// DataDir is where JetStream keeps its streams.
	DataDir string
	// Listen is the address for other clients, or "" for none.
	Listen string
	// SyncAlways has every message on disk before it is acknowledged, not only handed to the operating system. It costs
	// most of the throughput and is what a single server needs to survive a power cut.
	SyncAlways bool
	// MaxConnections bounds the connections of other clients, 0 for the server's own limit.
	MaxConnections int
}

// maxPayload of the embedded server leaves room for a webhook body of the largest allowed size and its headers.
const maxPayload = 8 << 20

// Server is an embedded NATS server with JetStream.
type Server struct {
	s    *server.Server
	lock *os.File // of its directory; nil if somebody else has that
}

// StartServer starts an embedded server and waits until it takes connections.
func StartServer(c ServerConfig) (*Server, error) {
	opts := &server.Options{
		ServerName: "factro-bridge-embedded",
		JetStream:  true, StoreDir: c.DataDir, SyncAlways: c.SyncAlways,
		MaxPayload: maxPayload, DontListen: c.Listen == "", MaxConn: c.MaxConnections,
		NoLog: true, NoSigs: true,
	}
	if c.Listen != "" {
		host, port, err := net.SplitHostPort(c.Listen)
		if err != nil {
			return nil, fmt.Errorf("listen address of the embedded NATS server: %w", err)
		}
		opts.Host = host
		if opts.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("listen address of the embedded NATS server: port: %w", err)
		}
		if opts.Port == 0 {
			opts.Port = server.RANDOM_PORT
		}
	}
	lock, err := lockDir(c.DataDir)
	if err != nil && !errors.Is(err, errNoLockHere) {
		return nil, fmt.Errorf("nats.embedded.data_dir: %w", err)
	}
	s, err := startServer(opts)
	if err != nil {
		return nil, errors.Join(err, unlockDir(lock))
	}
	s.lock = lock
	return s, nil
}

func startServer(opts *server.Options) (*Server, error) {
	if err := plainTree(opts.StoreDir); err != nil {
		return nil, fmt.Errorf("embedded NATS server: %w", err)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("embedded NATS server: %w", err)
	}
	last := &lastWords{}
	s.SetLogger(last, false, false)
	s.Start()
	if why := last.text.Load(); why != nil { // it would never be ready
		s.Shutdown()
		return nil, fmt.Errorf("embedded NATS server: %s", *why)
	}
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("embedded NATS server: was not ready within 10 s; is its data directory locked, or its port in use?")
	}
	return &Server{s: s}, nil
}

// URL is where other clients reach the server, or "" if it does not listen.
func (s *Server) URL() string {
	if s.s.Addr() == nil {
		return ""
	}
	return s.s.ClientURL()
}

// stopTimeout bounds how long a server is waited for that stops. On a disk that hangs it never does.
const stopTimeout = 10 * time.Second

// Close stops the server and waits until its files are closed.
func (s *Server) Close() {
	s.closed(stopTimeout)
	_ = unlockDir(s.lock) // it ends with the process at the latest
}

// closed stops the server and says whether its files are closed within a time.
func (s *Server) closed(most time.Duration) bool {
	return inTime(most, func() {
		s.s.Shutdown()
		s.s.WaitForShutdown()
	})
}

// lastWords is the log of an embedded server, of which only the reason is wanted why it does not start.
type lastWords struct{ text atomic.Pointer[string] }

// Fatalf keeps what a server of its own process would say before it exits.
func (l *lastWords) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.text.CompareAndSwap(nil, &text)
}

// Noticef and the others drop what is no such reason.
func (*lastWords) Noticef(string, ...any) {}
func (*lastWords) Warnf(string, ...any)   {}
func (*lastWords) Errorf(string, ...any)  {}
func (*lastWords) Debugf(string, ...any)  {}
func (*lastWords) Tracef(string, ...any)  {}
